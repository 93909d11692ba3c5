// Layers that move values: cut, join, pad, turn and resize them.
#include <fmt/args.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "compiler/graph/limits.h"
#include "dsl/layer.h"
#include "dsl/window_options.h"

namespace emulsion {

using internal::Access;
using internal::Layer;
using internal::write_layer;

namespace {

using internal::Numbers;

// An axis of x, which has that many.
size_t checked_axis(const Layer& layer, const TensorType& x, int64_t axis) {
    const auto rank = static_cast<int64_t>(x.shape.size());
    if (axis >= 0 && axis < rank) return static_cast<size_t>(axis);
    layer.refuse("attribute",
                 fmt::format("the axis is {}, but {} has axes 0 to {} beside its samples", axis,
                             to_string(x), rank - 1),
                 "choose one of them; 0 is the channels or the features");
}

// Cells `begin`, begin + step, … of an axis, `count` of them. A range of channels is a slice, which
// need not be copied.
Value take(Layer& layer, const std::string& part, Value x, size_t axis, int64_t begin,
           int64_t count, int64_t step) {
    const Numbers shape = layer.type(x).shape;
    if (axis == 0 && step == 1)
        return layer.add(part, "slice", {x}, {{"begin", begin}, {"count", count}});
    Numbers first(shape.size(), 0), cells = shape, steps(shape.size(), 1);
    first[axis] = begin;
    cells[axis] = count;
    steps[axis] = step;
    return layer.add(part, "crop", {x}, {{"begin", first}, {"count", cells}, {"step", steps}});
}

}  // namespace

// Joining and cutting

Tensor concatenate(const std::vector<Tensor>& parts, const AxisOptions& options, Place where) {
    return write_layer("concatenate", options.name, parts, where,
                       [&](Layer& layer, std::vector<Value> in) {
                           for (Value& value : in) value = layer.plain_features(value);
                           checked_axis(layer, layer.type(in[0]), options.axis);
                           if (in.size() == 1) return in[0];
                           return layer.add("", "concatenate", in, {{"axis", options.axis}});
                       });
}

Tensor slice(const Tensor& x, const SliceOptions& options, Place where) {
    return write_layer(
        "slice", options.name, {x}, where, [&](Layer& layer, const std::vector<Value>& in) {
            const Value from = layer.plain_features(in[0]);
            const TensorType type = layer.type(from);
            const size_t axis = checked_axis(layer, type, options.axis);
            const int64_t cells = type.shape[axis];
            const auto counted = [&](int64_t at) { return at < 0 ? at + cells : at; };
            const int64_t begin = counted(options.begin);
            const int64_t end = options.end == kToTheEnd ? cells : counted(options.end);
            if (options.step < 1 || begin < 0 || begin >= end || end > cells) {
                layer.refuse("shape",
                             fmt::format("cells {} to {} in steps of {} are asked for, but axis {} "
                                         "has {}",
                                         begin, end - 1, options.step, axis, cells),
                             fmt::format("choose begin < end within 0 to {}, and a step of 1 or "
                                         "more",
                                         cells),
                             in);
            }
            return take(layer, "", from, axis, begin,
                        (end - begin + options.step - 1) / options.step, options.step);
        });
}

namespace {

// The parts that `cells_of` names for an axis of so many cells, each a node NAME.0, NAME.1, ….
std::vector<Tensor> cut(const Tensor& x, size_t count, const AxisOptions& options,
                        const Place& where,
                        const std::function<Numbers(const Layer&, int64_t)>& cells_of) {
    std::vector<Value> parts;
    const Tensor first = write_layer(
        "split", options.name, {x}, where, [&](Layer& layer, const std::vector<Value>& in) {
            const Value from = layer.plain_features(in[0]);
            const TensorType type = layer.type(from);
            const size_t axis = checked_axis(layer, type, options.axis);
            int64_t begin = 0;
            for (int64_t cells : cells_of(layer, type.shape[axis])) {
                const std::string part = fmt::to_string(parts.size());
                parts.push_back(take(layer, part, from, axis, begin, cells, 1));
                begin += cells;
            }
            return parts[0];
        });
    if (Access::is_poisoned(first)) return std::vector<Tensor>(count, first);
    std::vector<Tensor> tensors;
    for (Value part : parts) tensors.push_back(Access::make(Access::model(first), part));
    return tensors;
}

}  // namespace

std::vector<Tensor> split(const Tensor& x, int parts, const AxisOptions& options, Place where) {
    const auto count = static_cast<size_t>(std::max(parts, 1));
    return cut(x, count, options, where, [&](const Layer& layer, int64_t cells) {
        if (parts < 1 || cells % parts != 0) {
            layer.refuse("shape",
                         fmt::format("{} cells along axis {} cannot be cut into {} equal parts",
                                     cells, options.axis, parts),
                         "choose a number that divides the cells, or name the cells of each part");
        }
        return Numbers(count, cells / parts);
    });
}

std::vector<Tensor> split(const Tensor& x, const Numbers& cells, const AxisOptions& options,
                          Place where) {
    return cut(x, std::max<size_t>(cells.size(), 1), options, where,
               [&](const Layer& layer, int64_t all) {
                   int64_t left = all;
                   for (int64_t each : cells) left = each >= 1 && each <= left ? left - each : -1;
                   if (left != 0) {
                       layer.refuse("shape",
                                    fmt::format("parts of [{}] cells do not make up the {} along "
                                                "axis {}",
                                                fmt::join(cells, ","), all, options.axis),
                                    "name parts of at least one cell whose sum is the extent");
                   }
                   return cells;
               });
}

// Shape

Tensor flatten(const Tensor& x, const LayerOptions& options, Place where) {
    return write_layer("flatten", options.name, {x}, where,
                       [](Layer& layer, const auto& in) { return layer.add("", "flatten", in); });
}

namespace {

// The shape with its one -1, if there is any, replaced by what `count` values leave for it.
Numbers completed(Numbers shape, int64_t count) {
    const auto open = std::ranges::find(shape, -1);
    if (open == shape.end()) return shape;
    *open = 1;
    const int64_t others = bounded_product(shape);
    *open = others > 0 && count % others == 0 ? count / others : -1;
    return shape;
}

}  // namespace

Tensor reshape(const Tensor& x, const Numbers& shape, const LayerOptions& options, Place where) {
    return write_layer(
        "reshape", options.name, {x}, where, [&](Layer& layer, const std::vector<Value>& in) {
            const TensorType& type = layer.type(in[0]);
            const Numbers wanted = completed(shape, element_count(type));
            const int64_t count = bounded_product(wanted);
            if (wanted.empty() || count != element_count(type)) {
                layer.refuse(
                    "shape",
                    fmt::format("[{}] {}, but the input has {} values", fmt::join(shape, ","),
                                wanted.empty() || count < 0 ? "is no shape"
                                                            : fmt::format("holds {} values", count),
                                element_count(type)),
                    "give extents whose product is the number of values; one may be -1", in);
            }
            return layer.reshaped(in[0], wanted);
        });
}

Tensor transpose(const Tensor& x, const Numbers& order, const LayerOptions& options, Place where) {
    return write_layer(
        "transpose", options.name, {x}, where, [&](Layer& layer, const std::vector<Value>& in) {
            return layer.add("", "transpose", {layer.plain_features(in[0])}, {{"order", order}});
        });
}

Tensor flip(const Tensor& x, const Numbers& axes, const LayerOptions& options, Place where) {
    Numbers sorted = axes;
    std::ranges::sort(sorted);
    return write_layer(
        "flip", options.name, {x}, where, [&](Layer& layer, const std::vector<Value>& in) {
            return layer.add("", "flip", {layer.plain_features(in[0])}, {{"axes", sorted}});
        });
}

Tensor channel_shuffle(const Tensor& x, int groups, const LayerOptions& options, Place where) {
    return write_layer("channel_shuffle", options.name, {x}, where,
                       [&](Layer& layer, const std::vector<Value>& in) {
                           return layer.add("", "channel_shuffle", {layer.plain_features(in[0])},
                                            {{"groups", int64_t{groups}}});
                       });
}

namespace {

// A block of `factor` cells along each axis of positions.
Tensor write_shuffle(std::string_view kind, std::string_view op, const Tensor& x, int factor,
                     const LayerOptions& options, const Place& where) {
    return write_layer(
        kind, options.name, {x}, where, [&](Layer& layer, const std::vector<Value>& in) {
            layer.expect_any_map(in[0]);
            if (factor < 1) {
                layer.refuse("attribute",
                             fmt::format("the factor is {}, but must be 1 or more", factor),
                             "choose a whole number from 1 on");
            }
            const size_t axes = internal::positions_of(layer.type(in[0])).size();
            return layer.add("", op, in, {{"block", Numbers(axes, factor)}});
        });
}

}  // namespace

Tensor pixel_shuffle(const Tensor& x, int factor, const LayerOptions& options, Place where) {
    return write_shuffle("pixel_shuffle", "depth_to_space", x, factor, options, where);
}

Tensor pixel_unshuffle(const Tensor& x, int factor, const LayerOptions& options, Place where) {
    return write_shuffle("pixel_unshuffle", "space_to_depth", x, factor, options, where);
}

// Size

namespace {

// Cells of each side of a map with so many axes of positions; refuses those below 0, and those that
// follow from a window.
Numbers checked_sides(const Layer& layer, const Padding& cells, size_t axes) {
    if (cells.is_same) {
        layer.refuse("attribute", "the cells are `same`, which is said of a window's padding alone",
                     "give the cells of each side");
    }
    Numbers sides = internal::sides_of(layer, "padding", cells, axes);
    if (std::ranges::min(sides) >= 0) return sides;
    const char* words = axes == 1   ? "{} before and {} behind"
                        : axes == 2 ? "{} above, {} below, {} left and {} right"
                                    : "{} in front, {} behind, {} above, {} below, {} left and {} "
                                      "right";
    fmt::dynamic_format_arg_store<fmt::format_context> numbers;
    for (int64_t side : sides) numbers.push_back(side);
    layer.refuse(
        "attribute",
        fmt::format("the cells are {}, but must be 0 or more", fmt::vformat(words, numbers)),
        "give 0 where a side stays as it is");
}

}  // namespace

Tensor pad(const Tensor& x, const Padding& padding, const PadOptions& options, Place where) {
    return write_layer(
        "pad", options.name, {x}, where, [&](Layer& layer, const std::vector<Value>& in) {
            layer.expect_any_map(in[0]);
            const Numbers sides = checked_sides(layer, padding, layer.type(in[0]).shape.size() - 1);
            const Border& border = options.border;
            const char* kind = border.kind[0] == '\0' ? "constant" : border.kind;
            return layer.add("", "pad", in,
                             {{"before", internal::cells_before(sides)},
                              {"after", internal::cells_after(sides)},
                              {"border", std::string(kind)},
                              {"value", border.value}});
        });
}

Tensor crop(const Tensor& x, const Padding& cells, const LayerOptions& options, Place where) {
    return write_layer(
        "crop", options.name, {x}, where, [&](Layer& layer, const std::vector<Value>& in) {
            layer.expect_any_map(in[0]);
            const Numbers map = layer.type(in[0]).shape,
                          all = internal::positions_of(layer.type(in[0]));
            const Numbers sides = checked_sides(layer, cells, all.size());
            Numbers count = map, cut;
            for (size_t axis = 0; axis < all.size(); axis++) {
                cut.push_back(sides[2 * axis] + sides[2 * axis + 1]);
                count[axis + 1] -= cut.back();
            }
            if (std::ranges::min(count) < 1) {
                layer.refuse(
                    "shape",
                    all.size() == 2
                        ? fmt::format("nothing is left of the {} map without {} rows and {} "
                                      "columns",
                                      by(all), cut[0], cut[1])
                        : fmt::format("nothing is left of the {} map without {} cells", by(all),
                                      by(cut)),
                    "cut off less", in);
            }
            return layer.add("", "crop", in,
                             {{"begin", internal::cells_before(sides)},
                              {"count", count},
                              {"step", Numbers(map.size(), 1)}});
        });
}

Tensor upsample(const Tensor& x, const UpsampleOptions& options, Place where) {
    return write_layer(
        "upsample", options.name, {x}, where, [&](Layer& layer, const std::vector<Value>& in) {
            layer.expect_any_map(in[0]);
            const Numbers positions = internal::positions_of(layer.type(in[0]));
            const bool has_size = options.size.count > 1 || options.size.w != 0;
            const char* what = has_size ? "size" : "factor";
            Numbers size = internal::numbers_of(
                layer, what, has_size ? options.size : options.factor, positions.size());
            if (std::ranges::min(size) < 1) {
                layer.refuse("attribute",
                             fmt::format("the {} is {}, but must be {} or more", what, by(size),
                                         by(Numbers(size.size(), 1))),
                             "choose whole numbers from 1 on");
            }
            for (size_t axis = 0; axis < size.size() && !has_size; axis++)
                size[axis] *= positions[axis];
            const bool is_nearest = options.mode == Interpolation::nearest;
            const std::string mode = is_nearest ? "nearest" : "bilinear";
            return layer.add("", "resize", in, {{"size", size}, {"mode", mode}});
        });
}

}  // namespace emulsion
