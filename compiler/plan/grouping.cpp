// Fusion. The method: nodes are visited in topological order; each joins the group of an operand if
// it can be its epilogue, or the pointwise group of an operand, else it starts a group. An anchor
// takes the pass that it reads as its prologue where that leaves the cache. What its
// readers recompute (recompute.cpp) is in their groups' bodies alone.
#include "compiler/plan/grouping.h"

#include <fmt/ranges.h>
#include <algorithm>
#include <set>

#include "compiler/ops/sources.h"
#include "compiler/plan/choice.h"
#include "compiler/plan/in_place.h"
#include "compiler/plan/recompute.h"

namespace emulsion {

namespace {

using Words = std::vector<std::string>;

class Grouper {
  public:
    Grouper(const Graph& graph, const RecipeLibrary& library, const Isa& isa,
            const PlanOptions& options, int batch, const Joins& joins)
        : graph_(graph),
          library_(library),
          isa_(isa),
          options_(options),
          batch_(batch),
          stages_(stages_of(graph, options.training)),
          users_(users_of(graph)),
          group_of_(graph.nodes().size(), -1),
          is_result_(result_owners(graph)) {
        grouping_.joins = joins;
        grouping_.choices = Choices(options.choices, *isa.family, options.threads);
    }

    Grouping run() {
        grouping_.inlined = choose_recomputed(graph_, options_, batch_, grouping_.joins.joined,
                                              grouping_.choices, grouping_.decisions);
        for (int i = 0; i < static_cast<int>(graph_.nodes().size()); i++) {
            OpClass op_class = graph_.node(i).op->op_class();
            if (op_class == OpClass::source || op_class == OpClass::view ||
                grouping_.inlined[at(i)] || grouping_.joins.is_joined(i))
                continue;
            place(i);
        }
        sort_groups();
        return std::move(grouping_);
    }

  private:
    static size_t at(int index) { return static_cast<size_t>(index); }

    // ---- Fuse or pass ----

    void place(int index) {
        const OpClass op_class = graph_.node(index).op->op_class();
        const bool joins = op_class == OpClass::pointwise || op_class == OpClass::window ||
                           graph_.node(index).op->sums_strips();
        const bool has_choice = options_.fuse && (joins || op_class == OpClass::anchor);
        can_join_ = false;
        recorded_ = has_choice ? grouping_.choices.recorded(node_signature(graph_, index, batch_),
                                                            Decision::fusion)
                               : std::nullopt;
        const bool is_placed = has_choice && (joins ? join_any(index) : take_prologue(index));
        if (has_choice) {
            grouping_.choices.keep(graph_, index, batch_, Decision::fusion,
                                   is_placed ? "join" : "pass",
                                   can_join_ ? words_of(Decision::fusion) : Words{"pass"});
        }
        if (is_placed) return;
        group_of_[at(index)] = static_cast<int>(grouping_.groups.size());
        grouping_.groups.push_back(alone(index));
    }

    // Tries to make node `index` part of the group of an operand.
    bool join_any(int index) {
        const std::vector<Value>& inputs = graph_.node(index).inputs;
        return std::any_of(inputs.begin(), inputs.end(), [&](Value value) {
            return join(index, group_of_[at(root_of(graph_, value).node)], value);
        });
    }

    // A group of this node.
    NodeGroup alone(int index) const {
        const OpClass op_class = graph_.node(index).op->op_class();
        const bool pass = op_class == OpClass::pointwise || op_class == OpClass::gather;
        NodeGroup group;
        group.nodes = {index};
        group.anchor = pass ? -1 : index;
        group.stage = stages_[at(index)];
        group.reason = pass ? "pass" : "anchor";
        if (op_class == OpClass::gather && choice_of(group).recipe == nullptr) group.anchor = index;
        return group;
    }

    // Tries to make node `index` part of group `target`, whose value `through` it reads.
    bool join(int index, int target, Value through) {
        if (target < 0) return false;
        const Node& node = graph_.node(index);
        NodeGroup& group = grouping_.groups[at(target)];
        if (group.stage != stages_[at(index)]) return false;
        const TensorType& domain = domain_of(group);
        if (root_of(graph_, through) != through || graph_.type(through) != domain) return false;
        if (through.node < group.anchor) return false;  // of the prologue
        if (reads_through_view(index, group)) return false;
        if (node.op->op_class() == OpClass::window) {
            if (!pool_fits(index, group, through)) return false;
        } else if (node.op->sums_strips()) {
            if (group.anchor < 0) return false;
        } else if (node.types[0] != domain) {
            return false;
        }
        if (waits_for(index, target)) return false;
        NodeGroup fused = group;
        fused.nodes.push_back(index);
        if (!shares_kernel(judge(fused, group, alone(index)), node.name, name_of(group)))
            return false;
        group = std::move(fused);
        group.reason = describe(group);
        group_of_[at(index)] = target;
        return true;
    }

    // The type of the maps that a group makes; sums over strips stand beside them.
    const TensorType& domain_of(const NodeGroup& group) const {
        for (size_t i = group.nodes.size(); i-- > 0;) {
            const bool sum = graph_.node(group.nodes[i]).op->sums_strips();
            if (!sum || group.nodes[i] == group.anchor) return graph_.type({group.nodes[i], 0});
        }
        return graph_.type({group.nodes.back(), 0});
    }

    // Pooling as an epilogue: after a contraction, windows that tile the map, the full map read by
    // nobody else.
    bool pool_fits(int index, const NodeGroup& group, Value through) const {
        if (group.anchor < 0 || graph_.node(group.anchor).op->op_class() != OpClass::anchor)
            return false;
        if (!graph_.node(index).op->tiles(graph_.type(through))) return false;
        return group.nodes.size() == 1 && users_[at(through.node)].size() == 1 &&
               !is_result_[at(through.node)];
    }

    // Makes an anchor part of the pass that computes its operand 0: its prologue then, whose result
    // it stores for the other readers.
    bool take_prologue(int index) {
        const Node& node = graph_.node(index);
        const Value through = node.inputs[0];
        const int target = group_of_[at(through.node)];
        if (target < 0) return false;
        NodeGroup& group = grouping_.groups[at(target)];
        if (group.anchor >= 0 || group.stage != stages_[at(index)]) return false;
        NodeGroup fused = group;
        fused.nodes.push_back(index);
        fused.anchor = index;
        for (int member : group.nodes) {
            const Node& before = graph_.node(member);
            if (before.op->op_class() != OpClass::pointwise) return false;
            if (before.types.size() > 1) return false;
            if (is_read_outside(member, fused) != (member == through.node)) return false;
        }
        if (waits_for(index, target)) return false;
        const std::string& name = graph_.node(through.node).name;
        const int64_t bytes = memory_bytes(graph_.type(through), batch_);
        Verdict verdict = judge(fused, group, alone(index));
        if (!isa_.is_device() && bytes < options_.machine.cache_bytes) {
            verdict.pays = false;
            verdict.reason = fmt::format("its {} bytes are read from a cache", bytes);
        }
        if (!shares_kernel(verdict, name, node.name)) return false;
        grouping_.decisions.push_back(
            fmt::format("store {} in {}: reads its operands there instead of its {} bytes", name,
                        node.name, bytes));
        group = std::move(fused);
        group.reason = describe(group);
        group_of_[at(index)] = target;
        return true;
    }

    // True if anything but the group's own nodes reads a value of `node`.
    bool is_read_outside(int node, const NodeGroup& group) const {
        return is_result_[at(node)] ||
               std::any_of(users_[at(node)].begin(), users_[at(node)].end(), [&](int user) {
                   return std::find(group.nodes.begin(), group.nodes.end(), user) ==
                          group.nodes.end();
               });
    }

    // True if node `index`, or what it recomputes, reads a value of the group as another type: that
    // goes through memory, hence is not for the same kernel.
    bool reads_through_view(int index, const NodeGroup& group) const {
        const std::vector<Value>& inputs = graph_.node(index).inputs;
        return std::any_of(inputs.begin(), inputs.end(), [&](Value value) {
            const int root = root_of(graph_, value).node;
            const bool own =
                std::find(group.nodes.begin(), group.nodes.end(), root) != group.nodes.end();
            return own ? root != value.node
                       : grouping_.inlined[at(root)] && reads_through_view(root, group);
        });
    }

    // True if node `index` reads, beside values of group `target`, others that depend on it, or a
    // whole with one of them among its parts: that goes through memory too.
    bool waits_for(int index, int target) const {
        if (producers_of_parts(index).contains(target)) return true;
        const std::set<int> read = producers({index});
        return std::any_of(read.begin(), read.end(),
                           [&](int other) { return other != target && depends_on(other, target); });
    }

    bool depends_on(int group, int target) const {
        std::vector<int> pending = {group};
        std::set<int> seen;
        while (!pending.empty()) {
            int current = pending.back();
            pending.pop_back();
            if (current == target) return true;
            if (!seen.insert(current).second) continue;
            for (int predecessor : predecessors(current)) pending.push_back(predecessor);
        }
        return false;
    }

    std::set<int> predecessors(int group) const {
        std::set<int> found = producers(grouping_.groups[at(group)].nodes);
        found.erase(group);
        return found;
    }

    // Nodes whose values some nodes read, through views and recomputed nodes.
    std::set<int> nodes_read(std::vector<int> pending) const {
        std::set<int> found;
        while (!pending.empty()) {
            int node = pending.back();
            pending.pop_back();
            for (Value value : graph_.node(node).inputs) {
                int producer = root_of(graph_, value).node;
                if (!found.insert(producer).second) continue;
                if (grouping_.inlined[at(producer)]) pending.push_back(producer);
            }
        }
        return found;
    }

    // Groups whose values some nodes read, as parts of wholes too.
    std::set<int> producers(const std::vector<int>& nodes) const {
        std::set<int> found;
        for (int node : nodes_read(nodes)) {
            if (grouping_.joins.is_joined(node)) found.merge(producers({node}));
            if (group_of_[at(node)] >= 0) found.insert(group_of_[at(node)]);
        }
        return found;
    }

    std::set<int> producers_of_parts(int index) const {
        std::set<int> found;
        for (int node : nodes_read({index})) {
            if (grouping_.joins.is_joined(node)) found.merge(producers({node}));
        }
        return found;
    }

    // How the group would run if no other node joined it.
    Choice choice_of(const NodeGroup& group) const {
        return cheapest_recipe(library_, body_of(group).group, isa_, options_);
    }

    GroupBody body_of(const NodeGroup& group) const {
        return build_body(graph_, group, grouping_, stored_values(graph_, group), batch_);
    }

    struct Verdict {
        bool is_possible = false;
        bool pays = false;   // one kernel costs no more than one for each part
        std::string reason;  // where it does not
    };

    Verdict judge(const NodeGroup& fused, const NodeGroup& first, const NodeGroup& second) const {
        const Choice both = choice_of(fused), one = choice_of(first), other = choice_of(second);
        const bool falls_back =
            both.is_last_resort() && ((first.anchor >= 0 && !one.is_last_resort()) ||
                                      (second.anchor >= 0 && !other.is_last_resort()));
        const bool overwrites =
            both.recipe != nullptr && !may_update(graph_, body_of(fused), *both.recipe);
        const bool is_cheaper = both.cost <= one.cost + other.cost;
        const bool is_possible = both.recipe != nullptr && !falls_back && !overwrites;
        if (is_possible && is_cheaper) return {true, true, ""};
        std::string reason =
            both.recipe == nullptr || falls_back ? "no recipe takes both"
            : overwrites ? fmt::format("{} does not update what it reads", both.recipe->name())
                         : fmt::format("{:.3g} us together, {:.3g} and {:.3g} apart",
                                       both.cost * 1e6, one.cost * 1e6, other.cost * 1e6);
        return {is_possible, false, std::move(reason)};
    }

    // What the record of the node that is placed says, where it is possible, else what pays; says
    // so where they stay apart.
    bool shares_kernel(const Verdict& verdict, const std::string& name,
                       const std::string& other_name) {
        can_join_ = can_join_ || verdict.is_possible;
        const bool is_recorded = recorded_ && verdict.is_possible;
        const bool shares = is_recorded ? recorded_->word == "join" : verdict.pays;
        if (shares) return true;
        grouping_.decisions.push_back(
            fmt::format("{} stays apart from {}: {}", name, other_name,
                        is_recorded ? "by the record " + recorded_->origin : verdict.reason));
        return false;
    }

    std::string name_of(const NodeGroup& group) const {
        return graph_.node(group.anchor >= 0 ? group.anchor : group.nodes[0]).name;
    }

    std::string describe(const NodeGroup& group) const {
        std::vector<std::string> before, after;
        for (int node : group.nodes) {
            if (node != group.anchor)
                (node < group.anchor ? before : after).emplace_back(graph_.node(node).op->kind());
        }
        if (group.anchor < 0)
            return fmt::format("one pass over the tensor: {}", fmt::join(after, ", "));
        std::string text;
        if (!before.empty()) text = fmt::format("stored prologue {}", fmt::join(before, ", "));
        if (!after.empty()) {
            text += fmt::format("{}epilogue {}", text.empty() ? "" : "; ", fmt::join(after, ", "));
        }
        return text;
    }

    // ---- Order ----

    // Depth first over dependencies, stages in turn; groups that overwrite a tensor come after its
    // other readers. Updates at once are part of the backward stage, each as early as it can be.
    void sort_groups() {
        std::vector<std::set<int>> before(grouping_.groups.size());
        for (int g = 0; g < static_cast<int>(before.size()); g++) before[at(g)] = predecessors(g);
        for (const Result& result : graph_.results()) {
            if (result.kind != Result::Kind::update) continue;
            int writer = group_of_[at(root_of(graph_, result.value).node)];
            if (writer < 0) continue;
            for (int reader : readers(result.target)) {
                if (reader != writer) before[at(writer)].insert(reader);
            }
        }
        std::vector<int> state(before.size(), 0), order;
        for (Stage stage : {Stage::prepare, Stage::forward, Stage::backward, Stage::update}) {
            releases_updates_ = options_.update_at_once && stage == Stage::backward;
            for (int g = 0; g < static_cast<int>(before.size()); g++) {
                if (grouping_.groups[at(g)].stage == stage) visit(g, before, state, order);
            }
        }
        std::vector<NodeGroup> sorted;
        for (int g : order) sorted.push_back(std::move(grouping_.groups[at(g)]));
        grouping_.groups = std::move(sorted);
    }

    void visit(int group, const std::vector<std::set<int>>& before, std::vector<int>& state,
               std::vector<int>& order) {
        if (state[at(group)] == 2) return;
        EMU_CHECK(state[at(group)] == 0, "the groups of graph '{}' form a cycle", graph_.name());
        state[at(group)] = 1;
        for (int predecessor : before[at(group)]) visit(predecessor, before, state, order);
        state[at(group)] = 2;
        order.push_back(group);
        if (releases_updates_) visit_updates(before, state, order);
    }

    // Visits the updates that have all they need by now.
    void visit_updates(const std::vector<std::set<int>>& before, std::vector<int>& state,
                       std::vector<int>& order) {
        for (int g = 0; g < static_cast<int>(before.size()); g++) {
            NodeGroup& group = grouping_.groups[at(g)];
            if (group.stage != Stage::update || state[at(g)] == 2) continue;
            bool ready = std::all_of(before[at(g)].begin(), before[at(g)].end(),
                                     [&](int other) { return state[at(other)] == 2; });
            if (!ready) continue;
            visit(g, before, state, order);
            group.stage = Stage::backward;
        }
    }

    std::set<int> readers(int source) const {
        std::set<int> found;
        std::vector<int> pending = {source};
        while (!pending.empty()) {
            int node = pending.back();
            pending.pop_back();
            for (int user : users_[at(node)]) {
                bool passes = graph_.node(user).op->op_class() == OpClass::view ||
                              grouping_.inlined[at(user)] || grouping_.joins.is_joined(user);
                if (passes) pending.push_back(user);
                if (group_of_[at(user)] >= 0) found.insert(group_of_[at(user)]);
            }
        }
        return found;
    }

    const Graph& graph_;
    const RecipeLibrary& library_;
    const Isa& isa_;
    const PlanOptions& options_;
    int batch_;
    std::vector<Stage> stages_;
    std::vector<std::vector<int>> users_;
    std::vector<int> group_of_;
    std::vector<bool> is_result_;
    Grouping grouping_;
    std::optional<RecordedChoice> recorded_;  // of the node that is placed
    bool can_join_ = false;                   // whether it could, whatever that costs
    bool releases_updates_ = false;           // updates at once follow what they wait for
};

}  // namespace

Grouping group_around(const Graph& graph, const RecipeLibrary& library, const Isa& isa,
                      const PlanOptions& options, int batch, const Joins& joins) {
    return Grouper(graph, library, isa, options, batch, joins).run();
}

}  // namespace emulsion
