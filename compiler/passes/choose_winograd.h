// Computes convolutions by Winograd's method where it pays: 3x3 and 5x5 filters at stride 1 and
// dilation 1 with at least 16 channels in whole blocks of 16 on both sides, on maps of at least one
// tile. The filter transform becomes a node of its own: in training it is rebuilt in each step, in
// inference once in `prepare`. Not run where exact results are asked for.
#pragma once

#include "compiler/graph/graph.h"

namespace emulsion {

Graph choose_winograd(const Graph& graph);

}  // namespace emulsion
