// The walk: nodes in reverse order, each asked for the gradients of its inputs.
#include "compiler/autodiff/differentiate.h"

#include <map>

#include "compiler/ops/registry.h"
#include "compiler/ops/sources.h"

namespace emulsion {

namespace {

// reached[i]: node i depends on a target.
std::vector<bool> reached_from(const Graph& graph, const std::vector<int>& targets) {
    std::vector<bool> reached(graph.nodes().size(), false);
    for (int target : targets) reached[static_cast<size_t>(target)] = true;
    for (size_t i = 0; i < graph.nodes().size(); i++) {
        for (Value value : graph.nodes()[i].inputs) {
            if (reached[static_cast<size_t>(value.node)]) reached[i] = true;
        }
    }
    return reached;
}

class Differentiator {
  public:
    Differentiator(GraphBuilder& builder, const std::vector<int>& targets)
        : builder_(builder), reached_(reached_from(builder.graph(), targets)) {}

    void run(Value value, Value gradient) {
        gradients_[value] = gradient;
        for (int node = value.node; node >= 0; node--) visit(node);
    }

    Value gradient_of(int target) const {
        auto found = gradients_.find({target, 0});
        return found == gradients_.end() ? Value() : found->second;
    }

  private:
    void visit(int index) {
        if (!reached_[static_cast<size_t>(index)]) return;
        const Node node = builder_.graph().node(index);  // a copy: the builder grows
        if (node.inputs.empty()) return;
        std::vector<Value> outputs, flowing;
        bool any = false;
        for (size_t k = 0; k < node.types.size(); k++) {
            Value output{index, static_cast<int>(k)};
            auto found = gradients_.find(output);
            outputs.push_back(output);
            flowing.push_back(found == gradients_.end() ? Value() : found->second);
            any = any || flowing.back().defined();
        }
        if (!any) return;
        GradientContext context{builder_, node.name, node.inputs, outputs, flowing, {}};
        for (Value input : node.inputs)
            context.needed.push_back(reached_[static_cast<size_t>(input.node)]);
        std::vector<Value> results = node.op->gradient(context);
        EMU_CHECK(results.size() == node.inputs.size(),
                  "the gradient of {} has {} parts for {} inputs", node.op->kind(), results.size(),
                  node.inputs.size());
        for (size_t i = 0; i < results.size(); i++) {
            if (context.needed[i] && results[i].defined())
                accumulate(node.inputs[i], results[i], context);
        }
    }

    void accumulate(Value input, Value gradient, GradientContext& context) {
        EMU_CHECK(builder_.type(gradient) == builder_.type(input),
                  "the gradient of '{}' has type {}, not {}",
                  builder_.graph().node(input.node).name, to_string(builder_.type(gradient)),
                  to_string(builder_.type(input)));
        auto [found, inserted] = gradients_.emplace(input, gradient);
        if (!inserted)
            found->second = context.add("gradient_sum", make_op("add"), {found->second, gradient});
    }

    GraphBuilder& builder_;
    std::vector<bool> reached_;
    std::map<Value, Value> gradients_;
};

}  // namespace

std::vector<Value> differentiate(GraphBuilder& builder, Value loss,
                                 const std::vector<int>& targets) {
    auto one = std::make_shared<Constant>(builder.type(loss));
    one->value = 1;
    const Value gradient = builder.add(one, {}, builder.unique_name("loss.gradient"));
    return differentiate(builder, loss, gradient, targets);
}

std::vector<Value> differentiate(GraphBuilder& builder, Value value, Value gradient,
                                 const std::vector<int>& targets) {
    Differentiator differentiator(builder, targets);
    differentiator.run(value, gradient);
    std::vector<Value> gradients;
    for (int target : targets) gradients.push_back(differentiator.gradient_of(target));
    return gradients;
}

}  // namespace emulsion
