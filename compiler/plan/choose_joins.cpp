// Which concatenations and slices are no kernel: all that can be, less those that would cost a
// kernel its recipe. Each refusal is followed by a grouping without that one.
#include <fmt/format.h>

#include <algorithm>

#include "compiler/plan/choice.h"
#include "compiler/plan/grouping.h"
#include "compiler/plan/in_place.h"
#include "compiler/plan/recompute.h"

namespace emulsion {

namespace {

struct Refusal {
    int join;
    std::string reason;
};

// The node that put a part that a group touches where it lies: what is written over a slice, else
// the first part.
int join_of(const GroupBody& body, const Joins& joins) {
    for (Value value : body.results) {
        if (joins.over.contains(value)) return value.node;
    }
    for (const Operand& operand : body.operands) {
        if (const int join = joins.home_of(operand.root).join; join >= 0) return join;
    }
    for (Value value : body.results) {
        if (const int join = joins.home_of(value).join; join >= 0) return join;
    }
    return -1;
}

class JoinJudge {
  public:
    JoinJudge(const Graph& graph, const RecipeLibrary& library, const Isa& isa,
              const PlanOptions& options, int batch)
        : graph_(graph), library_(library), isa_(isa), options_(options), batch_(batch) {}

    // Of each group that would run by another recipe if its parts lay by themselves, or by one that
    // does not write where it reads.
    std::vector<Refusal> refusals(const Grouping& grouping) const {
        std::vector<Refusal> found;
        for (const NodeGroup& group : grouping.groups) {
            GroupBody body =
                build_body(graph_, group, grouping, stored_values(graph_, group), batch_);
            if (body.group.pitches.empty()) continue;
            const Choice in_place = cheapest_recipe(library_, body.group, isa_, options_);
            if (const int node = wrongly_over(body, in_place, grouping.joins); node >= 0) {
                found.push_back({node, fmt::format("{} does not write over what {} reads",
                                                   in_place.recipe->name(), name_of(group))});
                continue;
            }
            body.group.pitches.clear();
            const Choice apart = cheapest_recipe(library_, body.group, isa_, options_);
            if (in_place.recipe == apart.recipe) continue;
            found.push_back({join_of(body, grouping.joins),
                             fmt::format("{} would not run {}", name_of(group),
                                         apart.recipe == nullptr ? "" : apart.recipe->name())});
        }
        return found;
    }

  private:
    // The first result of a group that its recipe may not write over the slice below it; -1 where
    // there is none.
    static int wrongly_over(const GroupBody& body, const Choice& choice, const Joins& joins) {
        for (size_t r = 0; choice.recipe != nullptr && r < body.results.size(); r++) {
            const auto over = joins.over.find(body.results[r]);
            if (over == joins.over.end()) continue;
            const auto found = std::ranges::find(body.operands, over->second, &Operand::root);
            const auto i = static_cast<size_t>(found - body.operands.begin());
            if (found == body.operands.end() || !may_overwrite(body.group, *choice.recipe, r, i))
                return over->first.node;
        }
        return -1;
    }

    const std::string& name_of(const NodeGroup& group) const {
        return graph_.node(group.anchor >= 0 ? group.anchor : group.nodes.back()).name;
    }

    const Graph& graph_;
    const RecipeLibrary& library_;
    const Isa& isa_;
    const PlanOptions& options_;
    int batch_;
};

bool can_be_no_kernel(const Graph& graph, int node) {
    const Op& op = *graph.node(node).op;
    return op.joins_channels() || op.taken_channels();
}

// Concatenations and slices that records make kernels.
std::set<int> recorded_copies(const Graph& graph, const Choices& choices, int batch) {
    std::set<int> copied;
    for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++) {
        if (!can_be_no_kernel(graph, i)) continue;
        const auto record = choices.recorded(node_signature(graph, i, batch), Decision::fusion);
        if (record && record->word == "pass") copied.insert(i);
    }
    return copied;
}

// What the concatenations and slices do; those that cost a kernel its recipe cannot do otherwise.
void keep_joins(const Graph& graph, int batch, Grouping& grouping, const std::set<int>& copied) {
    for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++) {
        if (!can_be_no_kernel(graph, i) || grouping.inlined[static_cast<size_t>(i)]) continue;
        const bool is_joined = grouping.joins.is_joined(i);
        const bool is_free = is_joined || copied.contains(i);
        grouping.choices.keep(
            graph, i, batch, Decision::fusion, is_joined ? "join" : "pass",
            is_free ? words_of(Decision::fusion) : std::vector<std::string>{"pass"});
    }
}

const char* what_refused_is(const Graph& graph, int node) {
    const Op& op = *graph.node(node).op;
    return op.joins_channels()   ? "copied together"
           : op.taken_channels() ? "cut out"
                                 : "stored apart";
}

void note_joins(const Graph& graph, const Joins& joins, std::vector<std::string>& notes) {
    for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++) {
        const Node& node = graph.node(i);
        if (const auto over = joins.over.find({i, 0}); over != joins.over.end()) {
            notes.push_back(fmt::format("{} is written over {}", node.name,
                                        graph.node(over->second.node).name));
        }
        if (!joins.is_joined(i)) continue;
        notes.push_back(node.op->taken_channels()
                            ? fmt::format("{} is no kernel: it is read in place", node.name)
                            : fmt::format("{} is no kernel: its {} parts are written in place",
                                          node.name, node.inputs.size()));
    }
}

}  // namespace

Grouping group_nodes(const Graph& graph, const RecipeLibrary& library, const Isa& isa,
                     const PlanOptions& options, int batch) {
    const JoinJudge judge(graph, library, isa, options, batch);
    const std::vector<bool> none(graph.nodes().size(), false);
    std::vector<std::string> notes;
    Choices choices(options.choices, *isa.family, options.threads);
    const std::vector<bool> inlined =
        choose_recomputed(graph, options, batch, none, choices, notes);
    notes.clear();
    const std::set<int> copied = recorded_copies(graph, choices, batch);
    std::set<int> refused = copied;
    for (;;) {
        const Joins joins = options.fuse ? find_joins(graph, options.training, inlined, refused)
                                         : Joins{none, {}, {}};
        Grouping grouping = group_around(graph, library, isa, options, batch, joins);
        const std::vector<Refusal> refusals = judge.refusals(grouping);
        for (const auto& [join, reason] : refusals) {
            if (refused.insert(join).second)
                notes.push_back(fmt::format("{} is {}: {}", graph.node(join).name,
                                            what_refused_is(graph, join), reason));
        }
        if (!refusals.empty()) continue;
        note_joins(graph, joins, notes);
        grouping.decisions.insert(grouping.decisions.end(), notes.begin(), notes.end());
        keep_joins(graph, batch, grouping, copied);
        return grouping;
    }
}

}  // namespace emulsion
