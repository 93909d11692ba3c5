// Copies of values that several results would share.
#include "compiler/passes/separate_results.h"

#include <map>
#include <set>

#include "compiler/graph/text.h"
#include "compiler/passes/rewriter.h"

namespace emulsion {

namespace {

// The value whose memory a result is; views have none of their own.
Value behind_views(const Graph& graph, Value value) {
    while (graph.node(value.node).op->op_class() == OpClass::view)
        value = graph.node(value.node).inputs[0];
    return value;
}

class Separation {
  public:
    Separation(const Graph& graph, bool update_at_once)
        : graph_(graph), update_at_once_(update_at_once), builder_(graph.name()) {}

    Graph run() {
        choose_copies();
        for (int i = 0; i < static_cast<int>(graph_.nodes().size()); i++) {
            add_node(i);
            for (size_t k = 0; k < copied_.size(); k++) {
                if (copied_[k] && graph_.results()[k].value.node == i) add_copy(k);
            }
        }
        for (size_t k = 0; k < copied_.size(); k++) add_result(k);
        return builder_.build();
    }

  private:
    // Which results hand out a copy. Gradients that updates consume at once are nobody's memory.
    void choose_copies() {
        std::set<Value> taken;
        for (const Result& result : graph_.results()) {
            const Value root = behind_views(graph_, result.value);
            const bool is_computed = graph_.node(root.node).op->op_class() != OpClass::source;
            const bool is_kept = result.kind != Result::Kind::gradient || !update_at_once_;
            copied_.push_back(is_kept && graph_.type(result.value).element == ElementType::f32 &&
                              (!is_computed || !taken.insert(root).second));
        }
    }

    void add_node(int index) {
        Node node = graph_.node(index);
        for (Value& value : node.inputs) {
            const auto found = own_gradient_.find({index, value});
            value = found != own_gradient_.end() ? found->second : moved(value);
        }
        moved_.push_back(builder_.add_typed(std::move(node)).node);
    }

    // The copy is the target's gradient from here on: what updates the target reads it.
    void add_copy(size_t k) {
        const Result& result = graph_.results()[k];
        const Node& node = graph_.node(result.value.node);
        std::string name = node.name + ".copy";
        for (int i = 2; graph_.find(name) >= 0 || builder_.unique_name(name) != name; i++)
            name = fmt::format("{}.copy.{}", node.name, i);
        const Value copy = builder_.add(op_from_text("scale", "{factor=1}"), {moved(result.value)},
                                        name, node.where);
        copies_[k] = copy;
        if (result.kind != Result::Kind::gradient) return;
        for (const Result& update : graph_.results()) {
            if (update.kind == Result::Kind::update && update.target == result.target)
                own_gradient_[{behind_views(graph_, update.value).node, result.value}] = copy;
        }
    }

    void add_result(size_t k) {
        const Result& result = graph_.results()[k];
        const Value value = copied_[k] ? copies_.at(k) : moved(result.value);
        move_result(builder_, result, value, [&](Value old) { return moved(old); });
    }

    Value moved(Value value) const {
        return {moved_[static_cast<size_t>(value.node)], value.output};
    }

    const Graph& graph_;
    const bool update_at_once_;
    GraphBuilder builder_;
    std::vector<bool> copied_;  // by result
    std::vector<int> moved_;    // by node
    std::map<size_t, Value> copies_;
    std::map<std::pair<int, Value>, Value> own_gradient_;  // of an update's node, by what it read
};

}  // namespace

Graph separate_results(const Graph& graph, bool update_at_once) {
    return Separation(graph, update_at_once).run();
}

}  // namespace emulsion
