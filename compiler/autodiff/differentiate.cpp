// The walk: nodes in reverse order, each asked for the gradients of its inputs.
#include "compiler/autodiff/differentiate.h"

#include <algorithm>
#include <map>

#include "compiler/ops/activations.h"
#include "compiler/ops/registry.h"
#include "compiler/ops/sources.h"

namespace emulsion {

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

namespace {

bool is_rectifier(const Op& op) {
    return dynamic_cast<const Relu*>(&op) != nullptr || dynamic_cast<const Relu6*>(&op) != nullptr;
}

class Differentiator {
  public:
    Differentiator(GraphBuilder& builder, const std::vector<int>& targets, RectifierRule rule)
        : builder_(builder), reached_(reached_from(builder.graph(), targets)), rule_(rule) {}

    void run(const std::vector<Seed>& seeds) {
        int last = -1;
        for (const Seed& seed : seeds) {
            add(seed.value, seed.gradient, "seeds");
            last = std::max(last, seed.value.node);
        }
        for (int node = last; node >= 0; node--) visit(node);
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
        std::vector<Value> results = gradients_of(*node.op, context);
        EMU_CHECK(results.size() == node.inputs.size(),
                  "the gradient of {} has {} parts for {} inputs", node.op->kind(), results.size(),
                  node.inputs.size());
        for (size_t i = 0; i < results.size(); i++) {
            if (context.needed[i] && results[i].defined())
                add(node.inputs[i], results[i], node.name);
        }
    }

    // Those of the inputs, by the rule.
    std::vector<Value> gradients_of(const Op& op, GradientContext& context) const {
        if (rule_ == RectifierRule::gradient || !is_rectifier(op)) return op.gradient(context);
        Value& gradient = context.gradients[0];
        gradient = context.add("positive", std::make_shared<Relu>(), {gradient});
        return rule_ == RectifierRule::guided ? op.gradient(context) : std::vector{gradient};
    }

    // One more gradient that flows into `value`, from the node or place `from`.
    void add(Value value, Value gradient, const std::string& from) {
        EMU_CHECK(builder_.type(gradient) == builder_.type(value),
                  "the gradient of '{}' has type {}, not {}",
                  builder_.graph().node(value.node).name, to_string(builder_.type(gradient)),
                  to_string(builder_.type(value)));
        auto [found, inserted] = gradients_.emplace(value, gradient);
        if (!inserted)
            found->second = builder_.add(make_op("add"), {found->second, gradient},
                                         builder_.unique_name(from + ".gradient_sum"));
    }

    GraphBuilder& builder_;
    std::vector<bool> reached_;
    RectifierRule rule_;
    std::map<Value, Value> gradients_;
};

}  // namespace

std::vector<Value> differentiate(GraphBuilder& builder, Value loss,
                                 const std::vector<int>& targets) {
    auto one = std::make_shared<Constant>(builder.type(loss));
    one->value = 1;
    const Value gradient = builder.add(one, {}, builder.unique_name("loss.gradient"));
    return differentiate(builder, {{loss, gradient}}, targets);
}

std::vector<Value> differentiate(GraphBuilder& builder, const std::vector<Seed>& seeds,
                                 const std::vector<int>& targets, RectifierRule rule) {
    Differentiator differentiator(builder, targets, rule);
    differentiator.run(seeds);
    std::vector<Value> gradients;
    for (int target : targets) gradients.push_back(differentiator.gradient_of(target));
    return gradients;
}

}  // namespace emulsion
