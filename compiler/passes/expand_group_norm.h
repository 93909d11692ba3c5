// Writes group_norm as partial_moments, group_statistics and normalize, in training and in
// inference: the sums of the first are then made by the kernel that makes the map, where it can.
#pragma once

#include "compiler/graph/graph.h"

namespace emulsion {

Graph expand_group_norm(const Graph& graph);

}  // namespace emulsion
