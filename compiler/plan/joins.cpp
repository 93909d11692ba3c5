// Concatenations from the last to the first: the largest wholes take their parts before others do.
// Then slices from the first to the last, each of a whole whose place is known.
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
        for (int i = 0; i < static_cast<int>(graph_.nodes().size()); i++) {
            if (can_cut(i)) {
                cut(i);
            } else if (const Value slice = slice_below(i); slice.defined()) {
                joins_.parts[{i, 0}] = joins_.home_of(slice);
                joins_.parts[{i, 0}].join = i;
                joins_.over[{i, 0}] = slice;
            }
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
        return !is_viewed(part.node) && !joins_.parts.contains(part);
    }

    bool is_viewed(int index) const {
        return std::ranges::any_of(users_[at(index)], [&](int user) {
            return graph_.node(user).op->op_class() == OpClass::view;
        });
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

    // ---- Slices ----

    bool can_cut(int index) const {
        const Node& node = graph_.node(index);
        if (!node.op->taken_channels() || refused_.contains(index)) return false;
        if (is_result_[at(index)] || is_viewed(index) || users_[at(index)].empty() ||
            joins_.parts.contains({index, 0}))
            return false;
        const Value whole = node.inputs[0];
        const OpClass op_class = graph_.node(whole.node).op->op_class();
        return op_class != OpClass::source && op_class != OpClass::view &&
               graph_.type(whole).batched && !is_result_[at(whole.node)] &&
               stages_[at(whole.node)] != Stage::prepare &&
               (joins_.is_joined(whole.node) || !inlined_[at(whole.node)]);
    }

    void cut(int index) {
        const Node& node = graph_.node(index);
        Home home = joins_.home_of(node.inputs[0]);
        if (home.pitch == 0) home.pitch = graph_.type(node.inputs[0]).shape[0];
        home.begin += node.op->taken_channels()->begin;
        home.join = index;
        joins_.parts[{index, 0}] = home;
        joins_.joined[at(index)] = true;
    }

    // The slice whose place a node's result may take, which is cut in turn.
    Value slice_below(int index) const {
        const Node& node = graph_.node(index);
        if (node.op->op_class() != OpClass::pointwise || node.types.size() != 1) return {};
        if (inlined_[at(index)] || is_result_[at(index)] || refused_.contains(index) ||
            joins_.parts.contains({index, 0}) || !is_cut_apart({index, 0}))
            return {};
        const auto is_free = [&](Value value) {
            const bool is_slice = graph_.node(value.node).op->taken_channels().has_value();
            if (!is_slice || !joins_.is_joined(value.node)) return false;
            const Value whole = graph_.node(value.node).inputs[0];
            const bool lies_alone = !joins_.is_joined(whole.node) &&
                                    (!joins_.parts.contains(whole) || joins_.over.contains(whole));
            return lies_alone && users_[at(value.node)].size() == 1 && is_cut_apart(whole) &&
                   graph_.type(value) == node.types[0];
        };
        const auto found = std::ranges::find_if(node.inputs, is_free);
        return found == node.inputs.end() ? Value{} : *found;
    }

    // Whether all that read a value are slices in place, each of channels of its own.
    bool is_cut_apart(Value whole) const {
        std::map<int64_t, int64_t> ranges;  // first channel, channels
        for (int user : users_[at(whole.node)]) {
            const std::optional<ChannelRange> slice = graph_.node(user).op->taken_channels();
            const bool is_cut = slice && (joins_.is_joined(user) || can_cut(user));
            if (!is_cut || graph_.node(user).inputs[0] != whole) return false;
            if (!ranges.emplace(slice->begin, slice->count).second) return false;
        }
        int64_t end = 0;
        for (const auto& [begin, count] : ranges) {
            if (begin < end) return false;
            end = begin + count;
        }
        return !ranges.empty();
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
