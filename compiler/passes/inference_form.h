// The forward graph as inference runs it: results are the outputs but loss and counts; dropout is
// gone; batch norm uses its running statistics, folded into the convolution or dense layer
// before it where that has no other reader (scaled weights, shifted bias), else as one scale and
// shift. What depends on parameters alone is computed by the library's `prepare`.
#pragma once

#include "compiler/graph/network.h"

namespace emulsion {

Graph inference_form(const Network& network);

}  // namespace emulsion
