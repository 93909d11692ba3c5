// Writes batch norm in its training form as primitives: per-sample moments, their merge, the
// normalisation. The gradient is made of primitives already. Afterwards no batch_norm node is left.
#pragma once

#include "compiler/graph/graph.h"

namespace emulsion {

Graph expand_batch_norm(const Graph& graph);

}  // namespace emulsion
