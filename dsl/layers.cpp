// Layers with weights or state, pooling and sums: each is a few nodes of the graph.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "compiler/ops/max_pool.h"
#include "dsl/layer.h"
#include "dsl/window_options.h"

namespace emulsion {

using internal::Access;
using internal::checked_numbers;
using internal::finish_layer;
using internal::Layer;
using internal::Numbers;
using internal::numbers_of;
using internal::Padded;
using internal::positions_of;
using internal::resolved_padding;
using internal::window_of;
using internal::WindowOptions;
using internal::write_layer;

namespace {

int64_t product(const Numbers& numbers) {
    return std::accumulate(numbers.begin(), numbers.end(), int64_t{1}, std::multiplies<>());
}

// A filter (filters, channels, taps …).
TensorType filter_type(int64_t filters, int64_t channels, const Numbers& kernel) {
    Numbers shape = {filters, channels};
    shape.insert(shape.end(), kernel.begin(), kernel.end());
    return plain_type(shape);
}

// The convolution of a layer whose operand is a map.
Value write_conv(Layer& layer, Value x, int filters, const ConvOptions& options,
                 const Place& where) {
    layer.expect_count("filters", filters);
    const Numbers positions = positions_of(layer.type(x));
    const WindowOptions window = window_of(layer, options, positions.size());
    const int64_t channels = layer.type(x).shape[0];
    layer.expect_groups(channels, filters, options.groups);
    const Numbers padding = resolved_padding(layer, options.padding, positions, window);
    if (options.strict) check_strict(layer, positions, window, padding);
    const int64_t taps = product(window.size);
    const int64_t in = channels / options.groups, out = filters / options.groups;
    Value w = options.connections.empty()
                  ? layer.parameter("w", filter_type(filters, in, window.size), options.init,
                                    in * taps, out * taps)
                  : internal::connected_filter(layer, filters, channels, window.size, options);
    if (options.flip) {
        Numbers axes(positions.size());
        std::iota(axes.begin(), axes.end(), 2);
        w = layer.add("flipped", "flip", {w}, {{"axes", axes}});
    }
    const Padded padded = with_border(layer, x, padding, options.border, /*has_zeros=*/true);
    Value y = layer.add("", "conv2d", {padded.map, w},
                        {{"stride", window.stride},
                         {"dilation", window.dilation},
                         {"padding", padded.padding},
                         {"groups", int64_t{options.groups}}});
    const Numbers of_filters = {filters};
    return finish_layer(layer, y, options.untied_bias ? layer.type(y).shape : of_filters, options,
                        where);
}

Numbers checked_output_padding(const Layer& layer, const ConvTransposeOptions& options,
                               const Numbers& stride) {
    const Numbers more = numbers_of(layer, "output padding", options.output_padding, stride.size());
    if (options.padding.is_same && std::ranges::any_of(more, [](int64_t m) { return m != 0; })) {
        layer.refuse("attribute",
                     fmt::format("the output padding is {}, but with the padding same the size "
                                 "is that of the input times the stride",
                                 by(more)),
                     "leave one of the two out");
    }
    bool fits = true;
    std::string choices;
    for (size_t axis = 0; axis < more.size(); axis++) {
        fits = fits && more[axis] >= 0 && more[axis] < stride[axis];
        choices += fmt::format("{}0 to {}", axis == 0 ? "" : " and ", stride[axis] - 1);
    }
    if (fits) return more;
    layer.refuse("attribute",
                 fmt::format("the output padding is {}, but the stride is {}: it must be 0 "
                             "or more, and less than the stride",
                             by(more), by(stride)),
                 "choose " + choices);
}

// The positions of a transposed convolution's result, and the padding of the convolution that goes
// back.
struct Spread {
    Numbers size, padding;
};

Spread spread_of(const Layer& layer, const Numbers& positions, const WindowOptions& window,
                 const ConvTransposeOptions& options) {
    const Numbers more = checked_output_padding(layer, options, window.stride);
    Numbers size;
    if (options.padding.is_same) {
        for (size_t axis = 0; axis < positions.size(); axis++)
            size.push_back(positions[axis] * window.stride[axis]);
        return {size, resolved_padding(layer, options.padding, size, window)};
    }
    const Numbers padding = resolved_padding(layer, options.padding, positions, window);
    Numbers cut, full;
    for (size_t axis = 0; axis < positions.size(); axis++) {
        cut.push_back(padding[2 * axis] + padding[2 * axis + 1]);
        full.push_back(window.stride[axis] * (positions[axis] - 1) +
                       window.dilation[axis] * (window.size[axis] - 1) + 1 + more[axis]);
        size.push_back(full[axis] - cut[axis]);
    }
    if (std::ranges::min(size) < 1) {
        layer.refuse("padding",
                     fmt::format("the padding cuts {} cells off a result of {}", by(cut), by(full)),
                     "use less padding, or a larger kernel or stride");
    }
    return {size, padding};
}

// Every result sums the cells whose filter reaches it: of each channel every `stride`th tap.
int64_t inputs_of_a_result(int64_t channels, const WindowOptions& window) {
    for (size_t axis = 0; axis < window.size.size(); axis++)
        channels *= (window.size[axis] + window.stride[axis] - 1) / window.stride[axis];
    return channels;
}

Value write_conv_transpose(Layer& layer, Value x, int filters, const ConvTransposeOptions& options,
                           const Place& where) {
    layer.expect_count("filters", filters);
    const Numbers positions = positions_of(layer.type(x));
    const WindowOptions window = window_of(layer, options, positions.size());
    const int64_t channels = layer.type(x).shape[0];
    const Spread spread = spread_of(layer, positions, window, options);
    layer.expect_groups(channels, filters, options.groups);
    const int64_t in = channels / options.groups, out = filters / options.groups;
    Value w = layer.parameter("w", filter_type(channels, out, window.size), options.init,
                              inputs_of_a_result(in, window), out * product(window.size));
    Value y = layer.add("", "conv2d_backward_data", {x, w},
                        {{"stride", window.stride},
                         {"dilation", window.dilation},
                         {"padding", spread.padding},
                         {"groups", int64_t{options.groups}},
                         {"input", spread.size}});
    return finish_layer(layer, y, {filters}, options, where);
}

}  // namespace

Tensor conv(const Tensor& x, int filters, const ConvOptions& options, Place where) {
    return write_layer("conv", options.name, {x}, where,
                       [&](Layer& layer, const std::vector<Value>& in) {
                           layer.expect_any_map(in[0]);
                           return write_conv(layer, in[0], filters, options, where);
                       });
}

Tensor depthwise_conv(const Tensor& x, const DepthwiseConvOptions& options, Place where) {
    return write_layer("depthwise_conv", options.name, {x}, where,
                       [&](Layer& layer, const std::vector<Value>& in) {
                           layer.expect_any_map(in[0]);
                           layer.expect_count("filters for each channel", options.multiplier);
                           const int64_t channels = layer.type(in[0]).shape[0];
                           const int64_t filters = channels * options.multiplier;
                           layer.expect_count("filters", filters);
                           return write_conv(layer, in[0], static_cast<int>(filters),
                                             {.kernel = options.kernel,
                                              .stride = options.stride,
                                              .dilation = options.dilation,
                                              .padding = options.padding,
                                              .border = options.border,
                                              .strict = options.strict,
                                              .groups = static_cast<int>(channels),
                                              .bias = options.bias,
                                              .init = options.init,
                                              .bias_init = options.bias_init,
                                              .activation = options.activation},
                                             where);
                       });
}

Tensor conv_transpose(const Tensor& x, int filters, const ConvTransposeOptions& options,
                      Place where) {
    return write_layer("conv_transpose", options.name, {x}, where,
                       [&](Layer& layer, const std::vector<Value>& in) {
                           layer.expect_any_map(in[0]);
                           return write_conv_transpose(layer, in[0], filters, options, where);
                       });
}

Tensor dense(const Tensor& x, int units, const DenseOptions& options, Place where) {
    return write_layer("dense", options.name, {x}, where,
                       [&](Layer& layer, const std::vector<Value>& in) {
                           layer.expect_features(in[0]);
                           layer.expect_count("units", units);
                           const TensorType& features = layer.type(in[0]);
                           Value w = layer.weights_of_features("w", units, features, options.init);
                           Value y = layer.add("", "dense", {in[0], w});
                           return finish_layer(layer, y, {units}, options, where);
                       });
}

Tensor rbf(const Tensor& x, int units, const RbfOptions& options, Place where) {
    return write_layer(
        "rbf", options.name, {x}, where, [&](Layer& layer, const std::vector<Value>& in) {
            layer.expect_features(in[0]);
            layer.expect_count("units", units);
            const Value centers =
                layer.weights_of_features("centers", units, layer.type(in[0]), options.init);
            return layer.add("", "squared_distance", {in[0], centers});
        });
}

// Pooling

namespace {

// `more` are the attributes that this kind of pooling has beside those of all.
Tensor pool(std::string_view kind, const Tensor& x, const PoolOptions& options, const Place& where,
            const internal::Attributes& more = {}) {
    return write_layer(
        kind, options.name, {x}, where, [&](Layer& layer, const std::vector<Value>& in) {
            layer.expect_any_map(in[0]);
            const Numbers positions = positions_of(layer.type(in[0]));
            const size_t axes = positions.size();
            const bool is_window = options.stride.count == 1 && options.stride.w == 0;
            const WindowOptions window = {
                checked_numbers(layer, "window", options.window, axes),
                checked_numbers(layer, "stride", is_window ? options.window : options.stride, axes),
                Numbers(axes, 1)};
            const Numbers padding = resolved_padding(layer, options.padding, positions, window);
            if (options.strict) check_strict(layer, positions, window, padding);
            const Padded padded =
                with_border(layer, in[0], padding, options.border, /*has_zeros=*/false);
            internal::Attributes attributes = {{"window", window.size},
                                               {"stride", window.stride},
                                               {"padding", padded.padding},
                                               {"ceil", options.round_up}};
            attributes.insert(attributes.end(), more.begin(), more.end());
            return layer.add("", kind, {padded.map}, attributes);
        });
}

}  // namespace

Tensor max_pool(const Tensor& x, const PoolOptions& options, Place where) {
    return pool("max_pool", x, options, where);
}

IndexedPool max_pool_with_indices(const Tensor& x, const PoolOptions& options, Place where) {
    const Tensor value = max_pool(x, options, where);
    if (Access::is_poisoned(value)) return {value, value};
    return {value, Access::make(Access::model(value), {Access::value(value).node, 1})};
}

Tensor max_unpool(const Tensor& x, const IndexedPool& pooled, const LayerOptions& options,
                  Place where) {
    return write_layer("max_unpool", options.name, {x, pooled.index}, where,
                       [&](Layer& layer, const std::vector<Value>& in) {
                           layer.expect_any_map(in[0]);
                           const Graph& graph = layer.model().builder.graph();
                           const auto* pool = graph.op_as<MaxPool>(in[1].node);
                           if (pool == nullptr || in[1].output != 1) {
                               layer.refuse("operands",
                                            "the index is no result of max_pool_with_indices",
                                            "give it what that layer gave", in);
                           }
                           if (layer.type(in[0]).shape != layer.type(in[1]).shape) {
                               layer.refuse("shape",
                                            fmt::format("the input is {}, but the pooled map {}",
                                                        to_string(layer.type(in[0])),
                                                        to_string(graph.type({in[1].node, 0}))),
                                            "bring it to the shape of the pooled map first", in);
                           }
                           const TensorType& map = graph.type(graph.node(in[1].node).inputs[0]);
                           return layer.add("", "max_pool_backward", in,
                                            {{"window", pool->window},
                                             {"stride", pool->stride},
                                             {"padding", pool->padding},
                                             {"ceil", pool->ceil},
                                             {"input", positions_of(map)}});
                       });
}

Tensor average_pool(const Tensor& x, const PoolOptions& options, Place where) {
    return pool("average_pool", x, options, where, {{"count_padding", options.count_padding}});
}

Tensor global_average_pool(const Tensor& x, const LayerOptions& options, Place where) {
    return write_layer(
        "global_average_pool", options.name, {x}, where, [](Layer& layer, const auto& in) {
            layer.expect_any_map(in[0]);
            return layer.add("", "reduce", in,
                             {{"keep_samples", true}, {"keep_channels", true}, {"mean", true}});
        });
}

namespace {

// One pooling by itself has at most this many cells, which are numbered in a byte; few of them are
// cheaper in one go than in rows and columns.
constexpr int64_t kMostRow = 256, kMostAtOnce = 64;

// The largest cell of each window of h x w cells, which lie side by side.
Value largest_of(Layer& layer, const std::string& part, Value x, int64_t h, int64_t w) {
    return layer.add(part, "max_pool", {x},
                     {{"window", std::vector<int64_t>{h, w}},
                      {"stride", std::vector<int64_t>{h, w}},
                      {"ceil", true}});
}

}  // namespace

Tensor global_max_pool(const Tensor& x, const LayerOptions& options, Place where) {
    return write_layer(
        "global_max_pool", options.name, {x}, where,
        [](Layer& layer, const std::vector<Value>& in) {
            layer.expect_any_map(in[0]);
            const Numbers positions = positions_of(layer.type(in[0]));
            const int64_t width = positions.back();
            // Seen as rows: a line is one.
            const Numbers map = {layer.type(in[0]).shape[0], product(positions) / width, width};
            Value y = in[0];
            if (layer.type(y).shape != map) y = layer.add("map", "view", {y}, {{"shape", map}});
            const auto extent = [&](size_t axis) { return layer.type(y).shape[axis]; };
            if (extent(1) * extent(2) <= kMostAtOnce) {
                y = largest_of(layer, "largest", y, extent(1), extent(2));
            }
            for (int i = 1; extent(1) > 1; i++)
                y = largest_of(layer, fmt::format("rows{}", i), y, std::min(extent(1), kMostRow),
                               1);
            for (int i = 1; extent(2) > 1; i++)
                y = largest_of(layer, fmt::format("columns{}", i), y, 1,
                               std::min(extent(2), kMostRow));
            return layer.add("", "flatten", {y});
        });
}

Tensor subsample(const Tensor& x, const SubsampleOptions& options, Place where) {
    return write_layer(
        "subsample", options.name, {x}, where, [&](Layer& layer, const std::vector<Value>& in) {
            layer.expect_any_map(in[0]);
            const Numbers positions = positions_of(layer.type(in[0]));
            const Numbers window =
                checked_numbers(layer, "window", options.window, positions.size());
            const int64_t channels = layer.type(in[0]).shape[0];
            const auto cells = static_cast<double>(product(window));
            const Value mean = layer.add("mean", "average_pool", in,
                                         {{"window", window},
                                          {"stride", window},
                                          {"padding", Numbers(2 * window.size(), 0)}});
            const Value sum = layer.add("sum", "scale", {mean}, {{"factor", cells}});
            const Value w = layer.parameter("w", plain_type({channels}), Init::constant(1 / cells));
            Value b = layer.parameter("b", plain_type({channels}), Init::zeros());
            return layer.add("biased", "add", {layer.add("", "multiply", {sum, w}), b});
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

}  // namespace emulsion
