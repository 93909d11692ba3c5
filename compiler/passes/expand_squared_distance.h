// squared_distance as |x|^2 - 2 x centers + |centers|^2, whose large part is a matrix product; the
// centers' squares are prepared in inference. Of points far from all centers but near each other
// the difference cancels: its error is that of the squares.
#pragma once

#include "compiler/graph/graph.h"

namespace emulsion {

Graph expand_squared_distance(const Graph& graph);

}  // namespace emulsion
