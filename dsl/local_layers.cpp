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

// Kernel, stride, dilation and padding of a layer over a map of so many axes of positions.
struct Places {
    Numbers kernel, stride, dilation, padding;
    int64_t taps() const { return window().taps(); }
    Window window() const { return {kernel, stride, dilation, padding, /*ceil=*/false}; }
    // Positions of the window on a map (C, …) into which it fits.
    Numbers positions(const Numbers& map) const {
        Numbers result;
        for (size_t axis = 0; axis < kernel.size(); axis++)
            result.push_back(window().positions(static_cast<int>(axis), map[axis + 1]));
        return result;
    }
};

template <class Options>
Places places_of(const Layer& layer, const TensorType& map, int filters, const Options& options) {
    if (filters < 1 || filters > kMostFilters) {
        layer.refuse("attribute",
                     fmt::format("it has {} filters, but must have 1 to {}", filters, kMostFilters),
                     "choose the number of filters in this range");
    }
    const Numbers positions = internal::positions_of(map);
    const internal::WindowOptions window = internal::window_of(layer, options, positions.size());
    return {window.size, window.stride, window.dilation,
            internal::resolved_padding(layer, options.padding, positions, window)};
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

// `numbers` behind a number for the channels.
Numbers behind(int64_t channels, const Numbers& numbers) {
    Numbers result = {channels};
    result.insert(result.end(), numbers.begin(), numbers.end());
    return result;
}

// The next tap, the last axis first; false behind the last one.
bool next_tap(Numbers& tap, const Numbers& kernel) {
    for (size_t axis = kernel.size(); axis-- > 0;) {
        if (++tap[axis] < kernel[axis]) return true;
        tap[axis] = 0;
    }
    return false;
}

// The patches of a map side by side along the channels, tap by tap: (KH * KW * C, H', W').
Value patches_of(Layer& layer, Value x, const Places& places, Border border) {
    const Numbers map = layer.type(x).shape;
    check_fit(layer, places, map);
    if (border.kind[0] == '\0') border = Border::zeros();
    x = with_border(layer, x, places.padding, border, /*has_zeros=*/false).map;
    const Numbers cells = behind(map[0], places.positions(map));
    const Numbers steps = behind(1, places.stride);
    std::vector<Value> taps;
    Numbers tap(places.kernel.size(), 0);
    do {
        Numbers begin = {0};
        for (size_t axis = 0; axis < tap.size(); axis++)
            begin.push_back(tap[axis] * places.dilation[axis]);
        taps.push_back(layer.add(fmt::format("tap{}", taps.size()), "crop", {x},
                                 {{"begin", begin}, {"count", cells}, {"step", steps}}));
    } while (next_tap(tap, places.kernel));
    return taps.size() == 1 ? taps[0] : layer.add("patches", "concatenate", taps);
}

}  // namespace

Tensor locally_connected(const Tensor& x, int filters, const LocallyConnectedOptions& options,
                         Place where) {
    return write_layer(
        "locally_connected", options.name, {x}, where,
        [&](Layer& layer, const std::vector<Value>& in) {
            layer.expect_any_map(in[0]);
            const TensorType type = layer.type(in[0]);
            const Places places = places_of(layer, type, filters, options);
            if (options.strict) {
                check_strict(layer, internal::positions_of(type),
                             {places.kernel, places.stride, places.dilation}, places.padding);
            }
            const Value patches = patches_of(layer, in[0], places, options.border);
            const Numbers map = layer.type(patches).shape;
            const Value w = layer.parameter("w", plain_type(behind(filters, map)), options.init,
                                            map[0], filters * places.taps());
            const Value y = layer.add("", "local_dense", {patches, w});
            return finish_layer(layer, y, layer.type(y).shape, options, where);
        });
}

// Deformable convolutions: the taps of each group of channels are sampled between cells, then a
// convolution whose stride is its kernel is all that is left. A line is the map (C, 1, L), whose
// taps move right alone.

namespace {

struct Deformed {
    Places places;
    int64_t groups;  // of channels that move together
    Value map;       // (C, H, W)
    Value offsets;   // (2 * groups * KH * KW, H', W')
    Value mask;      // (groups * KH * KW, H', W'), or none
};

// Numbers of each tap, at each position: so many by a parameter, or by a convolution of x; zero at
// first. NAME.PART or NAME.PART.w and .b hold them.
Value learnt_numbers(Layer& layer, const std::string& part, Value x, const Places& places,
                     int64_t count, Offsets kind) {
    const Numbers map = layer.type(x).shape;
    if (kind == Offsets::per_tap) {
        const Value taps = layer.parameter(part, plain_type({count}), Init::zeros());
        return layer.add(part + ".repeated", "expand", {taps},
                         {{"shape", behind(count, places.positions(map))}});
    }
    const Numbers filter = behind(count, behind(map[0], places.kernel));
    const Value w = layer.parameter(part + ".w", plain_type(filter), Init::zeros());
    const Value b = layer.parameter(part + ".b", plain_type({count}), Init::zeros());
    const Value numbers = layer.add(
        part, "conv2d", {x, w},
        {{"stride", places.stride}, {"dilation", places.dilation}, {"padding", places.padding}});
    return layer.add(part + ".biased", "add", {numbers, b});
}

// Refuses offsets or a mask of another shape than that of `count` numbers at each position.
void expect_numbers_of_taps(const Layer& layer, std::string_view what, Value given,
                            std::string_view each, const Numbers& shape) {
    const TensorType wanted = batched_type(shape);
    if (layer.type(given) == wanted) return;
    layer.refuse("shape",
                 fmt::format("the {} {}, but must be {}: {} for each tap of each offset group, at "
                             "each position",
                             what, to_string(layer.type(given)), to_string(wanted), each),
                 fmt::format("make them with {} filters of the same kernel, stride, dilation and "
                             "padding",
                             shape[0]),
                 {given});
}

// The numbers of a line (C, L) as those of the map (C, 1, L).
Value as_map(Layer& layer, const std::string& part, Value line) {
    const Numbers shape = layer.type(line).shape;
    return layer.add(part, "view", {line}, {{"shape", Numbers{shape[0], 1, shape[1]}}});
}

// And of offsets to the right, with one down in front of each.
Value offsets_of_line(Layer& layer, Value offsets) {
    const Value right = as_map(layer, "right", offsets);
    const Value down = layer.constant("down", layer.type(right), 0);
    const Value apart = layer.add("moves", "concatenate", {down, right});
    return layer.add("paired", "channel_shuffle", {apart}, {{"groups", int64_t{2}}});
}

Deformed map_of_line(Layer& layer, const Deformed& line) {
    Deformed map = line;
    map.map = as_map(layer, "map", line.map);
    map.offsets = offsets_of_line(layer, line.offsets);
    if (line.mask.defined()) map.mask = as_map(layer, "mask.map", line.mask);
    for (Numbers* numbers : {&map.places.kernel, &map.places.stride, &map.places.dilation})
        numbers->insert(numbers->begin(), 1);
    map.places.padding.insert(map.places.padding.begin(), 2, 0);
    return map;
}

// What the taps of one group read: (C / groups, H' * KH, W' * KW).
Value sampled_group(Layer& layer, const Deformed& deformed, int64_t group) {
    const auto part = [&](std::string_view name) {
        return deformed.groups == 1 ? std::string(name) : fmt::format("{}{}", name, group);
    };
    const auto taken = [&](std::string_view name, Value x) {
        if (deformed.groups == 1) return x;
        const int64_t each = layer.type(x).shape[0] / deformed.groups;
        return layer.add(part(name), "slice", {x}, {{"begin", group * each}, {"count", each}});
    };
    const Places& places = deformed.places;
    const Value sampled =
        layer.add(part("sampled"), "deform_sample",
                  {taken("channels", deformed.map), taken("offsets.part", deformed.offsets)},
                  {{"kernel", places.kernel},
                   {"stride", places.stride},
                   {"dilation", places.dilation},
                   {"padding", places.padding}});
    if (!deformed.mask.defined()) return sampled;
    const Value cells = layer.add(part("mask.cells"), "depth_to_space",
                                  {taken("mask.part", deformed.mask)}, {{"block", places.kernel}});
    return layer.add(part("masked"), "multiply", {sampled, cells});
}

Value write_deform_conv(Layer& layer, const Deformed& deformed, int filters,
                        const DeformConvOptions& options, const Place& where) {
    const bool is_line = deformed.places.kernel.size() == 1;
    const Deformed on_map = is_line ? map_of_line(layer, deformed) : deformed;
    const Numbers& kernel = on_map.places.kernel;
    const int64_t in = layer.type(on_map.map).shape[0] / options.groups,
                  taps = on_map.places.taps();
    const Numbers filter = behind(filters, behind(in, deformed.places.kernel));
    Value w = layer.parameter("w", plain_type(filter), options.init, in * taps,
                              filters / options.groups * taps);
    if (is_line)
        w = layer.add("w.map", "view", {w}, {{"shape", behind(filters, behind(in, kernel))}});
    std::vector<Value> parts;
    for (int64_t group = 0; group < on_map.groups; group++)
        parts.push_back(sampled_group(layer, on_map, group));
    const Value read = parts.size() == 1 ? parts[0] : layer.add("taps", "concatenate", parts);
    Value y = layer.add("", "conv2d", {read, w},
                        {{"stride", kernel}, {"groups", int64_t{options.groups}}});
    if (is_line) {
        const Numbers shape = layer.type(y).shape;
        y = layer.add("line", "view", {y}, {{"shape", Numbers{shape[0], shape[2]}}});
    }
    return finish_layer(layer, y, {filters}, options, where);
}

// With the offsets and the mask that are given, or those of the options.
Tensor any_deform_conv(const std::vector<Tensor>& operands, int filters,
                       const DeformConvOptions& options, const Place& where) {
    return write_layer(
        "deform_conv", options.name, operands, where,
        [&](Layer& layer, const std::vector<Value>& in) {
            layer.expect_any_map(in[0]);
            const TensorType type = layer.type(in[0]);
            const auto axes = static_cast<int64_t>(type.shape.size()) - 1;
            if (axes > 2) {
                layer.refuse("rank",
                             fmt::format("the input is the volume {}, but the taps of lines and "
                                         "maps alone can be moved",
                                         to_string(type)),
                             "use conv, or join two axes with reshape", {in[0]});
            }
            const Places places = places_of(layer, type, filters, options);
            layer.expect_groups(type.shape[0], filters, options.groups);
            layer.expect_groups(type.shape[0], type.shape[0], options.offset_groups);
            check_fit(layer, places, type.shape);
            const int64_t taps = options.offset_groups * places.taps();
            Deformed deformed{places, options.offset_groups, in[0], {}, {}};
            deformed.offsets = in.size() > 1 ? in[1]
                                             : learnt_numbers(layer, "offsets", in[0], places,
                                                              axes * taps, options.offsets);
            expect_numbers_of_taps(layer, "offsets are", deformed.offsets,
                                   axes == 1 ? "a number" : "down and right",
                                   behind(axes * taps, places.positions(type.shape)));
            if (in.size() > 2) {
                deformed.mask = in[2];
            } else if (options.modulated) {
                const Value mask =
                    learnt_numbers(layer, "mask", in[0], places, taps, options.offsets);
                deformed.mask = layer.add("mask.factors", "sigmoid", {mask});
            }
            if (deformed.mask.defined()) {
                expect_numbers_of_taps(layer, "mask is", deformed.mask, "a factor",
                                       behind(taps, places.positions(type.shape)));
            }
            return write_deform_conv(layer, deformed, filters, options, where);
        });
}

}  // namespace

Tensor deform_conv(const Tensor& x, const Tensor& offsets, const Tensor& mask, int filters,
                   const DeformConvOptions& options, Place where) {
    return any_deform_conv({x, offsets, mask}, filters, options, where);
}

Tensor deform_conv(const Tensor& x, const Tensor& offsets, int filters,
                   const DeformConvOptions& options, Place where) {
    return any_deform_conv({x, offsets}, filters, options, where);
}

Tensor deform_conv(const Tensor& x, int filters, const DeformConvOptions& options, Place where) {
    return any_deform_conv({x}, filters, options, where);
}

}  // namespace emulsion
