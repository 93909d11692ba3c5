// Which convolutions have filters of one channel each.
#pragma once

#include "compiler/graph/limits.h"
#include "compiler/ops/conv2d.h"

namespace emulsion {

// `x`: the map that the filters read, each of the results `y` one channel of it.
inline bool is_depthwise(const ConvAttributes& conv, const TensorType& x) {
    return conv.groups > 1 && x.shape[0] == conv.groups;
}

// How many filters read each channel of `x`. REQUIRES: is_depthwise.
inline int depthwise_multiplier(const TensorType& x, const TensorType& y) {
    return to_int(y.shape[0] / x.shape[0]);
}

}  // namespace emulsion
