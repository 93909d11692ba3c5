// What several of the networks here are made of.
#pragma once

#include "dsl/emulsion.h"

namespace emulsion::blocks {

// The channels of a map or features; 1 after a mistake.
inline int channels_of(Tensor x) {
    const std::vector<int64_t> shape = x.shape();
    return shape.empty() ? 1 : static_cast<int>(shape[0]);
}

// A convolution that keeps the size, up to its stride, and a ReLU.
inline Tensor conv_relu(Tensor x, int width, Size kernel = 3, Size stride = 1) {
    return relu(conv(
        x, width, {.kernel = kernel, .stride = stride, .padding = {kernel.h / 2, kernel.w / 2}}));
}

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

// Windows that overlap, each a cell wider than the next one is away.
inline Tensor overlapping_pool(Tensor x, Padding padding = valid) {
    return max_pool(x, {.window = 3, .stride = 2, .padding = padding});
}

// Residual networks

// What a residual block adds to its body: x, or a 1x1 convolution of it where the body's shape is
// another.
inline Tensor shortcut(Tensor x, int width, int stride) {
    const std::vector<int64_t> shape = x.shape();
    const bool is_same = stride == 1 && !shape.empty() && shape[0] == width;
    return is_same ? x : conv_norm(x, width, 1, stride);
}

// Two 3x3 convolutions without an activation behind the second.
inline Tensor basic_body(Tensor x, int width, int stride) {
    return conv_norm(relu(conv_norm(x, width, 3, stride)), width, 3);
}

// The 3x3 convolution works on a quarter of the channels of the result.
inline Tensor bottleneck_body(Tensor x, int width, int stride) {
    Tensor y = relu(conv_norm(x, width, 1));
    y = relu(conv_norm(y, width, 3, stride));
    return conv_norm(y, 4 * width, 1);
}

// relu(body(x) + shortcut(x))
inline Tensor basic_block(Tensor x, int width, int stride) {
    Tensor y = basic_body(x, width, stride);
    return relu(y + shortcut(x, width, stride));
}
inline Tensor bottleneck(Tensor x, int width, int stride) {
    Tensor y = bottleneck_body(x, width, stride);
    return relu(y + shortcut(x, 4 * width, stride));
}

// SqueezeNets

// Few channels feed many: half of them by 1x1, half by 3x3 convolutions, side by side.
inline Tensor fire(Tensor x, int squeeze, int expand) {
    x = relu(conv(x, squeeze, {.kernel = 1}));
    Tensor one = relu(conv(x, expand, {.kernel = 1}));
    Tensor three = relu(conv(x, expand, {.kernel = 3, .padding = 1}));
    return concatenate({one, three});
}

// Inception v2 and later

// Convolutions with batch norm and ReLU, one behind the other; each keeps the size, up to its
// stride, unless it `cuts` the cells where its filter reaches over the edge.
struct Link {
    int width;
    Size kernel = 1;
    int stride = 1;
    bool cuts = false;
};
inline Tensor chain(Tensor x, const std::vector<Link>& links) {
    for (const Link& link : links) {
        const Padding padding = link.cuts ? valid : Padding(link.kernel.h / 2, link.kernel.w / 2);
        x = relu(batch_norm(conv(
            x, link.width,
            {.kernel = link.kernel, .stride = link.stride, .padding = padding, .bias = false})));
    }
    return x;
}

// 3x3 windows, one on each cell.
inline Tensor average_around(Tensor x) {
    return average_pool(x, {.window = 3, .stride = 1, .padding = 1});
}

}  // namespace emulsion::blocks
