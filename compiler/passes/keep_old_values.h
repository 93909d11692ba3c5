// Lets every update of a training step keep the old values where the device has found that the loss
// or a gradient is not finite (ops/sources.h, NotFinite): the steps behind a bad one change
// nothing, and nobody has to wait for each step to learn of it.
#pragma once

#include "compiler/graph/graph.h"

namespace emulsion {

// REQUIRES: each update has a computed value of its own (separate_results).
Graph keep_old_values(const Graph& graph);

}  // namespace emulsion
