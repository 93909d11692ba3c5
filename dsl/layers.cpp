// Layers with weights or state, pooling and sums: each is a few nodes of the graph.
#include <fmt/format.h>

#include <algorithm>

#include "compiler/ops/max_pool.h"
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

// What a window finds on the map: with a border that is not the layer's own, the padding is part of
// it.
struct Padded {
    Value map;
    std::vector<int64_t> padding;  // what is left for the op
};

Padded with_border(Layer& layer, Value x, const std::vector<int64_t>& padding, const Border& border,
                   bool has_zeros) {
    const bool is_own =
        border.kind[0] == '\0' ||
        (has_zeros && std::string_view(border.kind) == "constant" && border.value == 0);
    if (is_own || std::ranges::all_of(padding, [](int64_t cells) { return cells == 0; }))
        return {x, padding};
    const Value map = layer.add("padded", "pad", {x},
                                {{"before", std::vector<int64_t>{0, padding[0], padding[2]}},
                                 {"after", std::vector<int64_t>{0, padding[1], padding[3]}},
                                 {"border", std::string(border.kind)},
                                 {"value", border.value}});
    return {map, {0, 0, 0, 0}};
}

// Refuses a map whose last cells no position of the window ends at.
void check_strict(const Layer& layer, const std::vector<int64_t>& map, Size window, Size stride,
                  Size dilation, const std::vector<int64_t>& padding) {
    const Window w{pair(window), pair(stride), pair(dilation), padding};
    for (int axis = 0; axis < 2; axis++) {
        const auto at = static_cast<size_t>(axis);
        const int64_t in = map[at + 1], step = w.stride[at], covered = w.covered(axis);
        const int64_t pads = w.before(axis) + w.after(axis), room = in + pads - covered;
        if (room < 0 || room % step == 0) continue;  // what does not fit at all is refused anyway
        layer.refuse("window",
                     fmt::format("({} - {} + {}) / {} + 1 = {:.2f} positions along the {} is no "
                                 "whole number (input, window, padding, stride)",
                                 in, covered, pads, step,
                                 static_cast<double>(room) / static_cast<double>(step) + 1,
                                 axis == 0 ? "height" : "width"),
                     fmt::format("pad {} more, crop {}, choose a stride that divides {}, or leave "
                                 "strict out",
                                 step - room % step, room % step, room));
    }
}

// Behind the contraction of a layer: its bias, one for each of the channels or of shape (C, H, W),
// and its activation.
template <class Options>
Value finish_layer(Layer& layer, Value value, const std::vector<int64_t>& bias_shape,
                   const Options& options, const Place& where) {
    if (options.bias) {
        layer.expect_init_without_inputs(options.bias_init, "bias");
        Value bias = layer.parameter("b", plain_type(bias_shape), options.bias_init);
        value = layer.add("biased", bias_shape.size() > 1 ? "add_map" : "add", {value, bias});
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
    const std::vector<int64_t> padding =
        resolve(options.padding, map, options.kernel, options.stride, options.dilation);
    if (options.strict)
        check_strict(layer, map, options.kernel, options.stride, options.dilation, padding);
    const int64_t taps = int64_t{options.kernel.h} * options.kernel.w;
    const int64_t in = map[0] / options.groups, out = filters / options.groups;
    Value w = layer.parameter("w", plain_type({filters, in, options.kernel.h, options.kernel.w}),
                              options.init, in * taps, out * taps);
    if (options.flip) w = layer.add("flipped", "flip", {w}, {{"axes", std::vector<int64_t>{2, 3}}});
    const Padded padded = with_border(layer, x, padding, options.border, /*has_zeros=*/true);
    Value y = layer.add("", "conv2d", {padded.map, w},
                        {{"stride", pair(options.stride)},
                         {"dilation", pair(options.dilation)},
                         {"padding", padded.padding},
                         {"groups", int64_t{options.groups}}});
    const std::vector<int64_t> of_filters = {filters};
    return finish_layer(layer, y, options.untied_bias ? layer.type(y).shape : of_filters, options,
                        where);
}

// The extent that a transposed convolution makes of `in` cells, padding and output padding left
// out.
int64_t spread(int64_t in, int64_t kernel, int64_t stride, int64_t dilation) {
    return stride * (in - 1) + dilation * (kernel - 1) + 1;
}

void check_output_padding(const Layer& layer, const ConvTransposeOptions& options) {
    const Size more = options.output_padding;
    if (options.padding.is_same && (more.h != 0 || more.w != 0)) {
        layer.refuse("attribute",
                     fmt::format("the output padding is {}x{}, but with the padding same the size "
                                 "is that of the input times the stride",
                                 more.h, more.w),
                     "leave one of the two out");
    }
    if (more.h >= 0 && more.w >= 0 && more.h < options.stride.h && more.w < options.stride.w)
        return;
    layer.refuse(
        "attribute",
        fmt::format("the output padding is {}x{}, but the stride is {}x{}: it must be 0 "
                    "or more, and less than the stride",
                    more.h, more.w, options.stride.h, options.stride.w),
        fmt::format("choose 0 to {} and 0 to {}", options.stride.h - 1, options.stride.w - 1));
}

// Height and width of a transposed convolution's result, and the padding of the convolution that
// goes back.
struct Spread {
    std::vector<int64_t> size, padding;
};

Spread spread_of(const Layer& layer, const std::vector<int64_t>& map,
                 const ConvTransposeOptions& options) {
    const Size kernel = options.kernel, stride = options.stride, dilation = options.dilation;
    if (options.padding.is_same) {
        const std::vector<int64_t> whole = {map[0], map[1] * stride.h, map[2] * stride.w};
        return {{whole[1], whole[2]}, resolve(options.padding, whole, kernel, stride, dilation)};
    }
    const std::vector<int64_t> padding = resolve(options.padding, map, kernel, stride, dilation);
    const std::vector<int64_t> full = {spread(map[1], kernel.h, stride.h, dilation.h),
                                       spread(map[2], kernel.w, stride.w, dilation.w)};
    const std::vector<int64_t> size = {
        full[0] + options.output_padding.h - padding[0] - padding[1],
        full[1] + options.output_padding.w - padding[2] - padding[3]};
    if (size[0] < 1 || size[1] < 1) {
        layer.refuse(
            "padding",
            fmt::format("the padding cuts {}x{} cells off a result of {}x{}",
                        padding[0] + padding[1], padding[2] + padding[3],
                        full[0] + options.output_padding.h, full[1] + options.output_padding.w),
            "use less padding, or a larger kernel or stride");
    }
    return {size, padding};
}

// Every result sums the cells whose filter reaches it: of each channel every `stride`th tap.
int64_t inputs_of_a_result(int64_t channels, const ConvTransposeOptions& options) {
    const int64_t rows = (options.kernel.h + options.stride.h - 1) / options.stride.h;
    const int64_t columns = (options.kernel.w + options.stride.w - 1) / options.stride.w;
    return channels * rows * columns;
}

Value write_conv_transpose(Layer& layer, Value x, int filters, const ConvTransposeOptions& options,
                           const Place& where) {
    check_count(layer, "filters", filters);
    check_pair(layer, "kernel", options.kernel);
    check_pair(layer, "stride", options.stride);
    check_pair(layer, "dilation", options.dilation);
    check_output_padding(layer, options);
    const std::vector<int64_t> map = layer.type(x).shape;  // C, H, W
    check_groups(layer, map[0], filters, options.groups);
    const int64_t taps = int64_t{options.kernel.h} * options.kernel.w;
    const int64_t in = map[0] / options.groups, out = filters / options.groups;
    const Spread spread = spread_of(layer, map, options);
    Value w = layer.parameter("w", plain_type({map[0], out, options.kernel.h, options.kernel.w}),
                              options.init, inputs_of_a_result(in, options), out * taps);
    Value y = layer.add("", "conv2d_backward_data", {x, w},
                        {{"stride", pair(options.stride)},
                         {"dilation", pair(options.dilation)},
                         {"padding", spread.padding},
                         {"groups", int64_t{options.groups}},
                         {"input", spread.size}});
    return finish_layer(layer, y, {filters}, options, where);
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
                           layer.expect_map(in[0]);
                           return write_conv_transpose(layer, in[0], filters, options, where);
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
                           return finish_layer(layer, y, {units}, options, where);
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
            const std::vector<int64_t> map = layer.type(in[0]).shape;
            const std::vector<int64_t> padding =
                resolve(options.padding, map, options.window, stride, /*dilation=*/1);
            if (options.strict)
                check_strict(layer, map, options.window, stride, /*dilation=*/1, padding);
            const Padded padded =
                with_border(layer, in[0], padding, options.border, /*has_zeros=*/false);
            internal::Attributes attributes = {{"window", pair(options.window)},
                                               {"stride", pair(stride)},
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
    return write_layer(
        "max_unpool", options.name, {x, pooled.index}, where,
        [&](Layer& layer, const std::vector<Value>& in) {
            layer.expect_map(in[0]);
            const Graph& graph = layer.model().builder.graph();
            const auto* pool = graph.op_as<MaxPool>(in[1].node);
            if (pool == nullptr || in[1].output != 1) {
                layer.refuse("operands", "the index is no result of max_pool_with_indices",
                             "give it what that layer gave", in);
            }
            if (layer.type(in[0]).shape != layer.type(in[1]).shape) {
                layer.refuse("shape",
                             fmt::format("the input is {}, but the pooled map {}",
                                         to_string(layer.type(in[0])),
                                         to_string(graph.type({in[1].node, 0}))),
                             "bring it to the shape of the pooled map first", in);
            }
            const std::vector<int64_t> map = graph.type(graph.node(in[1].node).inputs[0]).shape;
            return layer.add("", "max_pool_backward", in,
                             {{"window", pool->window},
                              {"stride", pool->stride},
                              {"padding", pool->padding},
                              {"ceil", pool->ceil},
                              {"input", std::vector<int64_t>{map[1], map[2]}}});
        });
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
    return write_layer("global_max_pool", options.name, {x}, where,
                       [](Layer& layer, const std::vector<Value>& in) {
                           layer.expect_map(in[0]);
                           Value y = in[0];
                           const auto extent = [&](size_t axis) {
                               return layer.type(y).shape[axis];
                           };
                           if (extent(1) * extent(2) <= kMostAtOnce) {
                               y = largest_of(layer, "largest", y, extent(1), extent(2));
                           }
                           for (int i = 1; extent(1) > 1; i++)
                               y = largest_of(layer, fmt::format("rows{}", i), y,
                                              std::min(extent(1), kMostRow), 1);
                           for (int i = 1; extent(2) > 1; i++)
                               y = largest_of(layer, fmt::format("columns{}", i), y, 1,
                                              std::min(extent(2), kMostRow));
                           return layer.add("", "flatten", {y});
                       });
}

Tensor subsample(const Tensor& x, const SubsampleOptions& options, Place where) {
    return write_layer(
        "subsample", options.name, {x}, where, [&](Layer& layer, const std::vector<Value>& in) {
            layer.expect_map(in[0]);
            check_pair(layer, "window", options.window);
            const int64_t channels = layer.type(in[0]).shape[0];
            const double cells = static_cast<double>(options.window.h) * options.window.w;
            const Value mean =
                layer.add("mean", "average_pool", in,
                          {{"window", pair(options.window)}, {"stride", pair(options.window)}});
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
