// Reverse-mode differentiation, graph to graph: each op's gradient is built from ops, so the
// backward pass is optimised and fused like any other part of the graph.
#pragma once

#include <vector>

#include "compiler/graph/graph.h"

namespace emulsion {

// Appends to `builder` the nodes of d loss / d target for each of `targets` (source nodes) and
// returns the values, in order; undefined where the loss does not depend on a target. `loss` is a
// plain scalar. Nodes that no target reaches get no gradient work. Contributions of several users
// are added from the last user to the first.
std::vector<Value> differentiate(GraphBuilder& builder, Value loss,
                                 const std::vector<int>& targets);
// The same of a loss of which `gradient`, of the type of `value`, is d loss / d value, and which
// depends on the targets through `value` alone.
std::vector<Value> differentiate(GraphBuilder& builder, Value value, Value gradient,
                                 const std::vector<int>& targets);

}  // namespace emulsion
