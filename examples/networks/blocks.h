// What several of the networks here are made of.
#pragma once

#include "dsl/emulsion.h"

namespace emulsion::blocks {

// A convolution that keeps the size, up to its stride, and a batch norm, which makes a bias
// needless.
inline Tensor conv_norm(Tensor x, int width, Size kernel, Size stride = 1) {
    return batch_norm(conv(x, width,
                           {.kernel = kernel,
                            .stride = stride,
                            .padding = {kernel.h / 2, kernel.w / 2},
                            .bias = false}));
}

// The same of each channel by itself.
inline Tensor depthwise_norm(Tensor x, Size kernel, Size stride) {
    return batch_norm(depthwise_conv(x, {.kernel = kernel,
                                         .stride = stride,
                                         .padding = {kernel.h / 2, kernel.w / 2},
                                         .bias = false}));
}

// What a residual block adds to its body: x, or a 1x1 convolution of it where the body's shape is
// another.
inline Tensor shortcut(Tensor x, int width, int stride) {
    const std::vector<int64_t> shape = x.shape();
    const bool is_same = stride == 1 && !shape.empty() && shape[0] == width;
    return is_same ? x : conv_norm(x, width, 1, stride);
}

// relu(body(x) + shortcut(x)) with two 3x3 convolutions
inline Tensor basic_block(Tensor x, int width, int stride) {
    Tensor y = relu(conv_norm(x, width, 3, stride));
    y = conv_norm(y, width, 3);
    return relu(y + shortcut(x, width, stride));
}

}  // namespace emulsion::blocks
