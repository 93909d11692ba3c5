// Layers whose filter is another one at each position, or reads between the cells of a map.
#include <fmt/format.h>

#include <algorithm>

#include "compiler/ops/connect_filter.h"
#include "compiler/ops/window.h"
#include "dsl/layer.h"
#include "dsl/window_options.h"

namespace emulsion {

namespace internal {

Value connected_filter(Layer& layer, int filters, int64_t channels,
                       const std::vector<int64_t>& kernel, const ConvOptions& options) {
    const auto& connections = options.connections;
    if (options.groups != 1) {
        layer.refuse("groups",
                     fmt::format("it has {} groups and connections of its own", options.groups),
                     "leave one of the two out");
    }
    if (static_cast<int>(connections.size()) != filters || filters > kMostConnections / channels) {
        layer.refuse("connections",
                     fmt::format("the connections are those of {} filters, but it has {}, and {} "
                                 "channels",
                                 connections.size(), filters, channels),
                     fmt::format("give a list of channels for each filter, at most {} pairs in all",
                                 kMostConnections));
    }
    std::vector<int64_t> table(static_cast<size_t>(filters * channels), 0);
    int64_t pairs = 0;
    for (size_t o = 0; o < connections.size(); o++) {
        for (const int channel : connections[o]) {
            const bool is_there = channel >= 0 && channel < channels;
            const size_t place =
                o * static_cast<size_t>(channels) + static_cast<size_t>(is_there ? channel : 0);
            if (!is_there || table[place] == 1) {
                layer.refuse(
                    "connections",
                    fmt::format("filter {} reads channel {}{}", o, channel,
                                is_there ? " twice" : fmt::format(", but there are {}", channels)),
                    fmt::format("name each once, of the channels 0 to {}", channels - 1));
            }
            table[place] = 1;
            pairs++;
        }
    }
    if (pairs == 0) layer.refuse("connections", "no filter reads a channel", "connect them");
    int64_t taps = 1;
    std::vector<int64_t> shape = {pairs, 1};
    for (int64_t extent : kernel) {
        shape.push_back(extent);
        taps *= extent;
    }
    const Value w = layer.parameter("w", plain_type(shape), options.init,
                                    std::max<int64_t>(1, pairs * taps / filters),
                                    std::max<int64_t>(1, pairs * taps / channels));
    return layer.add("connected", "connect_filter", {w},
                     {{"filters", int64_t{filters}}, {"channels", channels}, {"table", table}});
}

}  // namespace internal

using internal::finish_layer;
using internal::Layer;
using internal::write_layer;

namespace {

using internal::Numbers;

constexpr int kMostFilters = 1 << 20;

// Kernel, stride, dilation and padding of a layer over a map (C, H, W).
struct Places {
    Numbers kernel, stride, dilation, padding;
    int64_t taps() const { return kernel[0] * kernel[1]; }
    Window window() const { return {kernel, stride, dilation, padding, /*ceil=*/false}; }
};

template <class Options>
Places places_of(const Layer& layer, const Numbers& map, int filters, const Options& options) {
    if (filters < 1 || filters > kMostFilters) {
        layer.refuse("attribute",
                     fmt::format("it has {} filters, but must have 1 to {}", filters, kMostFilters),
                     "choose the number of filters in this range");
    }
    const internal::WindowOptions window = internal::window_of(layer, options, 2);
    return {window.size, window.stride, window.dilation,
            internal::resolved_padding(layer, options.padding, {map[1], map[2]}, window)};
}

// Refuses a window that does not fit into the map.
void check_fit(const Layer& layer, const Places& places, const Numbers& map) {
    try {
        check_window(places.window(), std::span(map).subspan(1), "filter");
    } catch (const Error& error) {
        const Diagnostic& fault = error.diagnostic();
        layer.refuse(fault.code, fault.message, fault.fix);
    }
}

// The patches of a map side by side along the channels, tap by tap: (KH * KW * C, H', W').
Value patches_of(Layer& layer, Value x, const Places& places) {
    const Numbers map = layer.type(x).shape;
    check_fit(layer, places, map);
    const Numbers& pads = places.padding;
    if (std::ranges::any_of(pads, [](int64_t cells) { return cells > 0; })) {
        x = layer.add(
            "padded", "pad", {x},
            {{"before", internal::cells_before(pads)}, {"after", internal::cells_after(pads)}});
    }
    const Numbers cells = {map[0], places.window().positions(0, map[1]),
                           places.window().positions(1, map[2])};
    std::vector<Value> taps;
    for (int64_t p = 0; p < places.kernel[0]; p++) {
        for (int64_t q = 0; q < places.kernel[1]; q++) {
            const Numbers begin = {0, p * places.dilation[0], q * places.dilation[1]};
            taps.push_back(layer.add(fmt::format("tap{}", taps.size()), "crop", {x},
                                     {{"begin", begin},
                                      {"count", cells},
                                      {"step", Numbers{1, places.stride[0], places.stride[1]}}}));
        }
    }
    return taps.size() == 1 ? taps[0] : layer.add("patches", "concatenate", taps);
}

}  // namespace

Tensor locally_connected(const Tensor& x, int filters, const LocallyConnectedOptions& options,
                         Place where) {
    return write_layer("locally_connected", options.name, {x}, where,
                       [&](Layer& layer, const std::vector<Value>& in) {
                           layer.expect_map(in[0]);
                           const Places places =
                               places_of(layer, layer.type(in[0]).shape, filters, options);
                           const Value patches = patches_of(layer, in[0], places);
                           Numbers shape = layer.type(patches).shape;  // inputs of a result, H', W'
                           const int64_t inputs = shape[0];
                           shape.insert(shape.begin(), filters);
                           const Value w = layer.parameter("w", plain_type(shape), options.init,
                                                           inputs, filters * places.taps());
                           const Value y = layer.add("", "local_dense", {patches, w});
                           return finish_layer(layer, y, layer.type(y).shape, options, where);
                       });
}

namespace {

Value write_deform_conv(Layer& layer, Value x, Value offsets, int filters, const Places& places,
                        const DeformConvOptions& options, const Place& where) {
    const int64_t channels = layer.type(x).shape[0];
    const Value w =
        layer.parameter("w", plain_type({filters, channels, places.kernel[0], places.kernel[1]}),
                        options.init, channels * places.taps(), filters * places.taps());
    const Value sampled = layer.add("sampled", "deform_sample", {x, offsets},
                                    {{"kernel", places.kernel},
                                     {"stride", places.stride},
                                     {"dilation", places.dilation},
                                     {"padding", places.padding}});
    const Value y = layer.add("", "conv2d", {sampled, w}, {{"stride", places.kernel}});
    return finish_layer(layer, y, {filters}, options, where);
}

// The offsets of an option: (2 * KH * KW, H', W'), zero at first.
Value learnt_offsets(Layer& layer, Value x, const Places& places, Offsets kind) {
    const Numbers map = layer.type(x).shape;
    const int64_t numbers = 2 * places.taps();
    check_fit(layer, places, map);
    if (kind == Offsets::per_tap) {
        const Value taps = layer.parameter("offsets", plain_type({numbers}), Init::zeros());
        const Numbers shape = {numbers, places.window().positions(0, map[1]),
                               places.window().positions(1, map[2])};
        return layer.add("repeated", "expand", {taps}, {{"shape", shape}});
    }
    const Value w = layer.parameter(
        "offsets.w", plain_type({numbers, map[0], places.kernel[0], places.kernel[1]}),
        Init::zeros());
    const Value b = layer.parameter("offsets.b", plain_type({numbers}), Init::zeros());
    const Value offsets = layer.add(
        "offsets", "conv2d", {x, w},
        {{"stride", places.stride}, {"dilation", places.dilation}, {"padding", places.padding}});
    return layer.add("offsets.biased", "add", {offsets, b});
}

// With the offsets that are given, or those of the options.
Tensor any_deform_conv(const std::vector<Tensor>& operands, int filters,
                       const DeformConvOptions& options, const Place& where) {
    return write_layer(
        "deform_conv", options.name, operands, where,
        [&](Layer& layer, const std::vector<Value>& in) {
            layer.expect_map(in[0]);
            const Places places = places_of(layer, layer.type(in[0]).shape, filters, options);
            const Value offsets =
                in.size() > 1 ? in[1] : learnt_offsets(layer, in[0], places, options.offsets);
            return write_deform_conv(layer, in[0], offsets, filters, places, options, where);
        });
}

}  // namespace

Tensor deform_conv(const Tensor& x, const Tensor& offsets, int filters,
                   const DeformConvOptions& options, Place where) {
    return any_deform_conv({x, offsets}, filters, options, where);
}

Tensor deform_conv(const Tensor& x, int filters, const DeformConvOptions& options, Place where) {
    return any_deform_conv({x}, filters, options, where);
}

}  // namespace emulsion
