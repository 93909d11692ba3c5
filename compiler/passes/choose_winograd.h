// Computes convolutions by Winograd's method where it pays: 3x3 and 5x5 filters at stride 1 and
// dilation 1 with at least 16 channels in whole blocks of 16 on both sides, in the tiles that need
// fewest products, unless the positions of a whole batch are so few that reading the larger
// transformed filter takes longer than the multiply-adds that it saves. The filter transform
// becomes a node of its own: in training it is rebuilt in each step, in inference once in
// `prepare`. Not run where exact results are asked for.
#pragma once

#include "compiler/graph/graph.h"
#include "compiler/recipe/choices.h"

namespace emulsion {

// `batch` is the most samples of a call. What records say comes first, and what was decided is
// kept, where there are `choices`.
Graph choose_winograd(const Graph& graph, int batch, Choices* choices = nullptr);

// How a convolution can compute, Decision::method: "direct" first. Empty of any other node.
std::vector<std::string> methods_of(const Graph& graph, int node);

}  // namespace emulsion
