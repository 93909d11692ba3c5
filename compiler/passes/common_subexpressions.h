// Keeps one of several nodes that have the same op, attributes and operands. Sources are left
// alone, but for equal constants and scalars.
#pragma once

#include "compiler/graph/graph.h"

namespace emulsion {

Graph common_subexpressions(const Graph& graph);

}  // namespace emulsion
