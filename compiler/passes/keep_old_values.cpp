// Puts a keep_old behind each node that makes updates.
#include "compiler/passes/keep_old_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "compiler/ops/keep_old.h"
#include "compiler/ops/sources.h"
#include "compiler/passes/rewriter.h"

namespace emulsion {

namespace {

bool is_to_be_kept(const Graph& graph, const Result& result) {
    return result.kind == Result::Kind::update &&
           graph.op_as<KeepOld>(result.value.node) == nullptr;
}

class Keeping {
  public:
    explicit Keeping(const Graph& graph) : graph_(graph), builder_(graph.name()) {}

    Graph run() {
        flag_ = builder_.add(std::make_shared<NotFinite>(), {}, free_name("not_finite"));
        for (int i = 0; i < static_cast<int>(graph_.nodes().size()); i++) {
            Node node = graph_.node(i);
            for (Value& value : node.inputs) value = moved(value);
            moved_.push_back(builder_.add_typed(std::move(node)).node);
            keep(i);
        }
        for (const Result& result : graph_.results())
            move_result(builder_, result, moved(result.value),
                        [&](Value old) { return moved(old); });
        return builder_.build();
    }

  private:
    void keep(int index) {
        std::map<std::string, std::vector<const Result*>> updates;  // of one type each
        for (const Result& result : graph_.results()) {
            if (result.value.node == index && is_to_be_kept(graph_, result))
                updates[to_string(graph_.type(result.value))].push_back(&result);
        }
        for (const auto& [type, some] : updates) keep(index, some);
    }

    void keep(int index, const std::vector<const Result*>& updates) {
        auto op = std::make_shared<KeepOld>();
        op->tensors = static_cast<int64_t>(updates.size());
        std::vector<Value> operands = {flag_};
        for (const Result* update : updates) operands.push_back(moved(update->value));
        for (const Result* update : updates) {
            EMU_CHECK(update->target < index, "'{}' updates a tensor that is not there yet",
                      graph_.node(index).name);
            operands.push_back(moved({update->target, 0}));
        }
        const Node& node = graph_.node(index);
        const Value kept = builder_.add(op, operands, free_name(node.name + ".kept"), node.where);
        for (size_t k = 0; k < updates.size(); k++)
            kept_[updates[k]->value] = {kept.node, static_cast<int>(k)};
    }

    // Whoever reads an updated value reads what is kept, so that the other need not be stored.
    Value moved(Value value) const {
        const auto found = kept_.find(value);
        return found != kept_.end() ? found->second
                                    : Value{moved_[static_cast<size_t>(value.node)], value.output};
    }

    // That no node of either graph has.
    std::string free_name(const std::string& base) const {
        std::string name = base;
        for (int i = 2; graph_.find(name) >= 0 || builder_.unique_name(name) != name; i++)
            name = fmt::format("{}.{}", base, i);
        return name;
    }

    const Graph& graph_;
    GraphBuilder builder_;
    Value flag_;
    std::vector<int> moved_;  // by node
    std::map<Value, Value> kept_;
};

}  // namespace

Graph keep_old_values(const Graph& graph) {
    const std::vector<Result>& results = graph.results();
    const bool has_any = std::any_of(results.begin(), results.end(), [&](const Result& result) {
        return is_to_be_kept(graph, result);
    });
    return has_any ? Keeping(graph).run() : graph;
}

}  // namespace emulsion
