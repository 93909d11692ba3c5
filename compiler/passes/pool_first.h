// Moves max pooling in front of a channel bias and of ReLU: max_pool(relu(x + b)) becomes
// relu(max_pool(x) + b).
//
// Both are monotone for each channel, so the winner of a window and its value stay the same, and
// the work after the pool shrinks with the map. Runs on the forward graph, before differentiation:
// the pool then stands next to the convolution and can be its epilogue. A rounding tie that the
// bias creates keeps the larger value's tap.
#pragma once

#include "compiler/graph/graph.h"

namespace emulsion {

Graph pool_first(const Graph& graph);

}  // namespace emulsion
