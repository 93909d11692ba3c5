// The canonical body of a group: equal groups of different layers get equal text, so they share a
// kernel.
#include <algorithm>
#include <map>
#include <set>

#include "compiler/ops/sources.h"
#include "compiler/plan/grouping.h"

namespace emulsion {

namespace {

class BodyBuilder {
  public:
    BodyBuilder(const Graph& graph, const NodeGroup& group, const Grouping& grouping)
        : graph_(graph),
          group_(group),
          inlined_(grouping.inlined),
          joins_(grouping.joins),
          builder_("group") {}

    GroupBody build(const std::vector<Value>& results, int batch) {
        for (int node : group_.nodes) compute(node);
        for (Value value : results) {
            builder_.output(fmt::format("r{}", body_.results.size()), own_.at(value));
            body_.results.push_back(value);
        }
        if (group_.anchor >= 0) body_.group.anchor = own_.at({group_.anchor, 0}).node;
        body_.group.body = builder_.build();
        body_.group.batch = body_.group.has_samples() ? batch : 1;
        set_pitches();
        return std::move(body_);
    }

  private:
    void set_pitches() {
        std::vector<int64_t> pitches;
        for (const Operand& operand : body_.operands)
            pitches.push_back(joins_.home_of(operand.root).pitch);
        for (Value value : body_.results) pitches.push_back(joins_.home_of(value).pitch);
        const bool is_dense =
            std::all_of(pitches.begin(), pitches.end(), [](int64_t pitch) { return pitch == 0; });
        if (!is_dense) body_.group.pitches = std::move(pitches);
    }

    // Adds a node of the graph, and what it recomputes, to the body.
    void compute(int index) {
        if (own_.contains({index, 0})) return;
        const Node& node = graph_.node(index);
        std::vector<Value> inputs;
        for (Value value : node.inputs) inputs.push_back(read(value));
        Value added = builder_.add(node.op, inputs, fmt::format("v{}", computed_++));
        for (int k = 0; k < static_cast<int>(node.types.size()); k++)
            own_[{index, k}] = {added.node, k};
    }

    // The body's value for an operand of one of its nodes.
    Value read(Value value) {
        const TensorType& type = graph_.type(value);
        Value root = root_of(graph_, value);
        if (own_.contains(root) && graph_.type(root) == type) return own_.at(root);
        if (const auto* constant = graph_.op_as<Constant>(root.node)) return fill(*constant, type);
        auto index = static_cast<size_t>(root.node);
        if (inlined_[index] && graph_.type(root) == type) {
            compute(root.node);
            return own_.at(root);
        }
        if (const auto* scalar = graph_.op_as<Scalar>(root.node)) return read_scalar(*scalar);
        Operand operand{root, type};
        auto found = std::find(body_.operands.begin(), body_.operands.end(), operand);
        if (found != body_.operands.end()) {
            return inputs_[static_cast<size_t>(found - body_.operands.begin())];
        }
        body_.operands.push_back(operand);
        inputs_.push_back(
            builder_.add(std::make_shared<Input>(type), {}, fmt::format("a{}", inputs_.size())));
        return inputs_.back();
    }

    // A constant is the same number in whatever shape it is read.
    Value fill(const Constant& constant, const TensorType& type) {
        const std::string key = fmt::format("{} {}", constant.value, to_string(type));
        const auto [found, inserted] = constants_.try_emplace(key);
        if (inserted) {
            auto op = std::make_shared<Constant>(constant);
            op->set_type(type);
            found->second = builder_.add(op, {}, fmt::format("v{}", computed_++));
        }
        return found->second;
    }

    Value read_scalar(const Scalar& scalar) {
        auto [found, inserted] = scalars_.try_emplace(scalar.name);
        if (inserted) {
            found->second = builder_.add(std::make_shared<Scalar>(scalar), {}, scalar.name);
            body_.scalars.push_back(scalar.name);
        }
        return found->second;
    }

    const Graph& graph_;
    const NodeGroup& group_;
    const std::vector<bool>& inlined_;
    const Joins& joins_;
    GraphBuilder builder_;
    GroupBody body_;
    std::map<Value, Value> own_;  // of the graph, to the body
    std::vector<Value> inputs_;
    std::map<std::string, Value> scalars_, constants_;
    int computed_ = 0;
};

}  // namespace

std::vector<Value> stored_values(const Graph& graph, const NodeGroup& group) {
    const std::set<int> own(group.nodes.begin(), group.nodes.end());
    std::set<Value> stored;
    for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++) {
        if (own.contains(i) || graph.node(i).op->op_class() == OpClass::view) continue;
        for (Value value : graph.node(i).inputs) {
            Value root = root_of(graph, value);
            if (own.contains(root.node)) stored.insert(root);
        }
    }
    for (const Result& result : graph.results()) {
        Value root = root_of(graph, result.value);
        if (own.contains(root.node)) stored.insert(root);
    }
    std::vector<Value> sorted(stored.begin(), stored.end());
    const int anchor = group.anchor;
    std::stable_partition(sorted.begin(), sorted.end(), [&](Value value) {
        return value.node == anchor || !graph.node(value.node).op->sums_strips();
    });
    std::stable_partition(sorted.begin(), sorted.end(),
                          [&](Value value) { return value.node >= anchor; });
    return sorted;
}

GroupBody build_body(const Graph& graph, const NodeGroup& group, const Grouping& grouping,
                     const std::vector<Value>& results, int batch) {
    return BodyBuilder(graph, group, grouping).build(results, batch);
}

}  // namespace emulsion
