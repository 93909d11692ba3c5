// Which convolutions have one filter for each channel.
#pragma once

#include "compiler/ops/conv2d.h"

namespace emulsion {

// `x` and `y`: the maps on both sides, either way round.
inline bool is_depthwise(const ConvAttributes& conv, const TensorType& x, const TensorType& y) {
    return conv.groups > 1 && x.shape[0] == conv.groups && y.shape[0] == conv.groups;
}

}  // namespace emulsion
