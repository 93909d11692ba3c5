// Gives every result a computed value of its own: where one value is handed out twice (two biases
// of one sum have the same gradient), or a source as it is, a copy is added. The plan can then give
// each result its own memory. What updates a parameter reads the parameter's own gradient, so that
// a caller may change it between the two; where updates are at once there is nothing to change, and
// gradients share a value.
#pragma once

#include "compiler/graph/graph.h"

namespace emulsion {

Graph separate_results(const Graph& graph, bool update_at_once = false);

}  // namespace emulsion
