// From the last concatenation to the first: the largest wholes take their parts before others do.
#include "compiler/plan/joins.h"

#include <algorithm>

#include "compiler/plan/grouping.h"

namespace emulsion {

namespace {

class JoinFinder {
  public:
    JoinFinder(const Graph& graph, bool training, const std::vector<bool>& inlined,
               const std::set<int>& refused)
        : graph_(graph),
          stages_(stages_of(graph, training)),
          inlined_(inlined),
          refused_(refused),
          users_(users_of(graph)),
          is_result_(result_owners(graph)) {}

    Joins run() {
        joins_.joined.assign(graph_.nodes().size(), false);
        for (int i = static_cast<int>(graph_.nodes().size()); i-- > 0;) {
            if (can_join(i)) join(i);
        }
        return std::move(joins_);
    }

  private:
    static size_t at(int index) { return static_cast<size_t>(index); }

    bool can_join(int index) const {
        const Node& node = graph_.node(index);
        if (!node.op->joins_channels() || node.inputs.size() < 2) return false;
        if (refused_.contains(index) || is_result_[at(index)] || users_[at(index)].empty() ||
            stages_[at(index)] == Stage::prepare)
            return false;
        std::set<Value> seen;
        return std::all_of(node.inputs.begin(), node.inputs.end(), [&](Value part) {
            return seen.insert(part).second && can_be_part(part) &&
                   stages_[at(part.node)] == stages_[at(index)];
        });
    }

    bool can_be_part(Value part) const {
        const Node& node = graph_.node(part.node);
        const OpClass op_class = node.op->op_class();
        if (op_class == OpClass::source || op_class == OpClass::view) return false;
        if (!graph_.type(part).batched || inlined_[at(part.node)] || is_result_[at(part.node)])
            return false;
        const std::vector<int>& users = users_[at(part.node)];
        const bool is_viewed = std::any_of(users.begin(), users.end(), [&](int user) {
            return graph_.node(user).op->op_class() == OpClass::view;
        });
        return !is_viewed && !joins_.parts.contains(part);
    }

    void join(int index) {
        const Node& node = graph_.node(index);
        const Home own = joins_.home_of({index, 0});
        const int64_t pitch = own.pitch > 0 ? own.pitch : node.types[0].shape[0];
        int64_t begin = own.begin;
        for (Value part : node.inputs) {
            joins_.parts[part] = {own.whole, begin, pitch, index};
            begin += graph_.type(part).shape[0];
        }
        joins_.joined[at(index)] = true;
    }

    const Graph& graph_;
    std::vector<Stage> stages_;
    const std::vector<bool>& inlined_;
    const std::set<int>& refused_;
    std::vector<std::vector<int>> users_;
    std::vector<bool> is_result_;
    Joins joins_;
};

}  // namespace

Joins find_joins(const Graph& graph, bool training, const std::vector<bool>& inlined,
                 const std::set<int>& refused) {
    return JoinFinder(graph, training, inlined, refused).run();
}

}  // namespace emulsion
