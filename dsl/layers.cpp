// Layers with weights or state, and those that change shape: each is a few nodes of the graph.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "compiler/graph/limits.h"
#include "compiler/ops/window.h"
#include "dsl/layer.h"

namespace emulsion {

using internal::Access;
using internal::Layer;
using internal::write_layer;

namespace {

constexpr int64_t kMostChannels = 1 << 20;
constexpr int kMostCells = 1 << 15;  // of a kernel, stride, dilation or window along an axis

std::vector<int64_t> pair(Size size) { return {size.h, size.w}; }

void check_pair(const Layer& layer, std::string_view what, Size size) {
    if (std::min(size.h, size.w) >= 1 && std::max(size.h, size.w) <= kMostCells) return;
    const bool is_small = std::min(size.h, size.w) < 1;
    layer.refuse("attribute",
                 fmt::format("the {} is {}x{}, but must be {}", what, size.h, size.w,
                             is_small ? "1x1 or more" : fmt::format("at most {0}x{0}", kMostCells)),
                 fmt::format("choose a {} of at {} {}", what, is_small ? "least" : "most",
                             is_small ? 1 : kMostCells));
}

void check_count(const Layer& layer, std::string_view what, int64_t count) {
    if (count >= 1 && count <= kMostChannels) return;
    layer.refuse("attribute",
                 fmt::format("it has {} {}, but must have 1 to {}", count, what, kMostChannels),
                 fmt::format("choose from 1 to {} of the {}", kMostChannels, what));
}

// Top, bottom, left, right for a window over the map x.
std::vector<int64_t> resolve(const Padding& padding, const std::vector<int64_t>& x, Size window,
                             Size stride, Size dilation) {
    if (!padding.is_same) return {padding.top, padding.bottom, padding.left, padding.right};
    auto vertical = same_padding(x[1], window.h, stride.h, dilation.h);
    auto horizontal = same_padding(x[2], window.w, stride.w, dilation.w);
    return {vertical[0], vertical[1], horizontal[0], horizontal[1]};
}

// Behind the contraction of a layer: its bias and its activation.
template <class Options>
Value finish_layer(Layer& layer, Value value, int64_t channels, const Options& options,
                   const Place& where) {
    if (options.bias) {
        layer.expect_init_without_inputs(options.bias_init, "bias");
        Value bias = layer.parameter("b", plain_type({channels}), options.bias_init);
        value = layer.add("biased", "add", {value, bias});
    }
    return layer.activated(value, options.activation, where);
}

void check_groups(const Layer& layer, int64_t channels, int filters, int groups) {
    if (groups >= 1 && channels % groups == 0 && filters % groups == 0) return;
    layer.refuse("groups",
                 fmt::format("{} channels and {} filters cannot be cut into {} equal groups",
                             channels, filters, groups),
                 "choose a number of groups that divides both");
}

// The convolution of a layer whose operand is a map.
Value write_conv(Layer& layer, Value x, int filters, const ConvOptions& options,
                 const Place& where) {
    check_count(layer, "filters", filters);
    check_pair(layer, "kernel", options.kernel);
    check_pair(layer, "stride", options.stride);
    check_pair(layer, "dilation", options.dilation);
    const std::vector<int64_t> map = layer.type(x).shape;  // C, H, W
    check_groups(layer, map[0], filters, options.groups);
    const int64_t taps = int64_t{options.kernel.h} * options.kernel.w;
    const int64_t in = map[0] / options.groups, out = filters / options.groups;
    Value w = layer.parameter("w", plain_type({filters, in, options.kernel.h, options.kernel.w}),
                              options.init, in * taps, out * taps);
    Value y = layer.add("", "conv2d", {x, w},
                        {{"stride", pair(options.stride)},
                         {"dilation", pair(options.dilation)},
                         {"padding", resolve(options.padding, map, options.kernel, options.stride,
                                             options.dilation)},
                         {"groups", int64_t{options.groups}}});
    return finish_layer(layer, y, filters, options, where);
}

}  // namespace

Tensor conv(const Tensor& x, int filters, const ConvOptions& options, Place where) {
    return write_layer("conv", options.name, {x}, where,
                       [&](Layer& layer, const std::vector<Value>& in) {
                           layer.expect_map(in[0]);
                           return write_conv(layer, in[0], filters, options, where);
                       });
}

Tensor depthwise_conv(const Tensor& x, const DepthwiseConvOptions& options, Place where) {
    return write_layer("depthwise_conv", options.name, {x}, where,
                       [&](Layer& layer, const std::vector<Value>& in) {
                           layer.expect_map(in[0]);
                           check_count(layer, "filters for each channel", options.multiplier);
                           const int64_t channels = layer.type(in[0]).shape[0];
                           const int64_t filters = channels * options.multiplier;
                           check_count(layer, "filters", filters);
                           return write_conv(layer, in[0], static_cast<int>(filters),
                                             {.kernel = options.kernel,
                                              .stride = options.stride,
                                              .dilation = options.dilation,
                                              .padding = options.padding,
                                              .groups = static_cast<int>(channels),
                                              .bias = options.bias,
                                              .init = options.init,
                                              .bias_init = options.bias_init,
                                              .activation = options.activation},
                                             where);
                       });
}

Tensor dense(const Tensor& x, int units, const DenseOptions& options, Place where) {
    return write_layer("dense", options.name, {x}, where,
                       [&](Layer& layer, const std::vector<Value>& in) {
                           layer.expect_features(in[0]);
                           check_count(layer, "units", units);
                           const TensorType& features = layer.type(in[0]);
                           Value w = layer.weights_of_features("w", units, features, options.init);
                           Value y = layer.add("", "dense", {in[0], w});
                           return finish_layer(layer, y, units, options, where);
                       });
}

// |x|^2 - 2 x w + |w|^2
Tensor rbf(const Tensor& x, int units, const RbfOptions& options, Place where) {
    return write_layer(
        "rbf", options.name, {x}, where, [&](Layer& layer, const std::vector<Value>& in) {
            layer.expect_features(in[0]);
            check_count(layer, "units", units);
            const Value centers =
                layer.weights_of_features("centers", units, layer.type(in[0]), options.init);
            Value square = layer.add("square", "multiply", {in[0], in[0]});
            Value length = layer.add("length", "reduce", {square}, {{"keep_samples", true}});
            Value squares = layer.add("squares", "multiply", {centers, centers});
            Value lengths = layer.add("lengths", "reduce", {squares}, {{"keep_channels", true}});
            Value products = layer.add("products", "dense", {in[0], centers});
            Value twice = layer.add("twice", "scale", {products}, {{"factor", -2.0}});
            Value apart = layer.add("apart", "add", {twice, lengths});
            return layer.add("", "add", {apart, length});
        });
}

// Pooling

namespace {

// `more` are the attributes that this kind of pooling has beside those of all.
Tensor pool(std::string_view kind, const Tensor& x, const PoolOptions& options, const Place& where,
            const internal::Attributes& more = {}) {
    return write_layer(
        kind, options.name, {x}, where, [&](Layer& layer, const std::vector<Value>& in) {
            layer.expect_map(in[0]);
            Size stride =
                options.stride.h == 0 && options.stride.w == 0 ? options.window : options.stride;
            check_pair(layer, "window", options.window);
            check_pair(layer, "stride", stride);
            std::vector<int64_t> padding = resolve(options.padding, layer.type(in[0]).shape,
                                                   options.window, stride, /*dilation=*/1);
            internal::Attributes attributes = {{"window", pair(options.window)},
                                               {"stride", pair(stride)},
                                               {"padding", padding},
                                               {"ceil", options.round_up}};
            attributes.insert(attributes.end(), more.begin(), more.end());
            return layer.add("", kind, in, attributes);
        });
}

}  // namespace

Tensor max_pool(const Tensor& x, const PoolOptions& options, Place where) {
    return pool("max_pool", x, options, where);
}

Tensor average_pool(const Tensor& x, const PoolOptions& options, Place where) {
    return pool("average_pool", x, options, where, {{"count_padding", options.count_padding}});
}

Tensor global_average_pool(const Tensor& x, const LayerOptions& options, Place where) {
    return write_layer(
        "global_average_pool", options.name, {x}, where, [](Layer& layer, const auto& in) {
            layer.expect_map(in[0]);
            return layer.add("", "reduce", in,
                             {{"keep_samples", true}, {"keep_channels", true}, {"mean", true}});
        });
}

// Sums

namespace {

Tensor over_axes(std::string_view kind, const Tensor& x, std::vector<int64_t> axes, bool is_mean,
                 const LayerOptions& options, const Place& where) {
    std::sort(axes.begin(), axes.end());
    return write_layer(kind, options.name, {x}, where, [&](Layer& layer, const auto& in) {
        return layer.add("", "reduce_axes", in, {{"axes", axes}, {"mean", is_mean}});
    });
}

}  // namespace

Tensor sum(const Tensor& x, const std::vector<int64_t>& axes, const LayerOptions& options,
           Place where) {
    return over_axes("sum", x, axes, /*is_mean=*/false, options, where);
}

Tensor mean(const Tensor& x, const std::vector<int64_t>& axes, const LayerOptions& options,
            Place where) {
    return over_axes("mean", x, axes, /*is_mean=*/true, options, where);
}

// Shape

Tensor concatenate(const std::vector<Tensor>& parts, const LayerOptions& options, Place where) {
    return write_layer("concatenate", options.name, parts, where,
                       [](Layer& layer, std::vector<Value> in) {
                           for (Value& value : in) value = layer.plain_features(value);
                           return in.size() == 1 ? in[0] : layer.add("", "concatenate", in);
                       });
}

Tensor flatten(const Tensor& x, const LayerOptions& options, Place where) {
    return write_layer("flatten", options.name, {x}, where,
                       [](Layer& layer, const auto& in) { return layer.add("", "flatten", in); });
}

Tensor reshape(const Tensor& x, const std::vector<int64_t>& shape, const LayerOptions& options,
               Place where) {
    return write_layer(
        "reshape", options.name, {x}, where, [&](Layer& layer, const std::vector<Value>& in) {
            const TensorType& type = layer.type(in[0]);
            const int64_t count = bounded_product(shape);
            if (count != element_count(type) || (shape.size() != 1 && shape.size() != 3)) {
                layer.refuse(
                    "shape",
                    fmt::format("[{}] {} on {} axes, but the input has {} values",
                                fmt::join(shape, ","),
                                count < 0 ? "is no shape" : fmt::format("holds {} values", count),
                                shape.size(), element_count(type)),
                    "give one axis or three, whose product is the number of values", in);
            }
            return layer.reshaped(in[0], shape);
        });
}

}  // namespace emulsion
