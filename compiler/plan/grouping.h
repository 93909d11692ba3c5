// Which nodes share a kernel: fusion groups, in an order that respects all dependencies.
#pragma once

#include <string>
#include <vector>

#include "compiler/plan/joins.h"
#include "compiler/plan/plan.h"

namespace emulsion {

// A value as a kernel sees it: its memory belongs to `root`, a value that no view made; `type` is
// how it is read.
struct Operand {
    Value root;
    TensorType type;
    bool operator==(const Operand&) const = default;
};

struct NodeGroup {
    std::vector<int>
        nodes;  // ascending; those that it computes itself, recomputed prologue nodes left out
    int anchor = -1;  // node of the graph, or -1
    Stage stage = Stage::forward;
    std::string reason;  // why it is fused as it is
};

// What the grouping found, with helpers that the plan needs.
struct Grouping {
    std::vector<NodeGroup> groups;       // in order of execution
    std::vector<bool> inlined;           // nodes that every reader recomputes
    Joins joins;                         // concatenations that are no kernel
    std::vector<std::string> decisions;  // store or recompute, fuse or pass, in words
    Choices choices;                     // the same where records may say otherwise
};

// The value behind a chain of views.
Value root_of(const Graph& graph, Value value);

// True for nodes that own a result of the graph.
std::vector<bool> result_owners(const Graph& graph);

// Stage of every node: sources get the stage of their first reader. In training, what only outputs
// beside the loss and its measures need lies behind the test of the loss.
std::vector<Stage> stages_of(const Graph& graph, bool training);

// The canonical body of a group; its operands and the values of its results in order.
struct GroupBody {
    Group group;
    std::vector<Operand> operands;     // of the Input sources, in order
    std::vector<std::string> scalars;  // of the Scalar sources, in order
    std::vector<Value> results;
};
GroupBody build_body(const Graph& graph, const NodeGroup& group, const Grouping& grouping,
                     const std::vector<Value>& results, int batch);

// The values that a group must store: read by other nodes, or results of the graph; in the order of
// Group's results.
std::vector<Value> stored_values(const Graph& graph, const NodeGroup& group);

// Groups the nodes of an optimized graph. A node joins a group where the best recipe for both costs
// no more than those for each; where it does not, or no recipe takes both, the reason is kept. A
// concatenation is no kernel where all that touch its parts run by the recipes that they run by
// otherwise.
Grouping group_nodes(const Graph& graph, const RecipeLibrary& library, const Isa& isa,
                     const PlanOptions& options, int batch);

// The same where these concatenations are no kernel, whatever that costs.
Grouping group_around(const Graph& graph, const RecipeLibrary& library, const Isa& isa,
                      const PlanOptions& options, int batch, const Joins& joins);

}  // namespace emulsion
