// Numbers of options for one, two or three axes.
#include "dsl/window_options.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "compiler/ops/window.h"

namespace emulsion::internal {

namespace {

constexpr int64_t kMostCells = 1 << 15;  // of a kernel, stride, dilation or window along an axis

[[noreturn]] void refuse_count(const Layer& layer, std::string_view what, const Numbers& given,
                               size_t axes, std::string_view each) {
    layer.refuse(
        "attribute",
        fmt::format("the {} is {{{}}}, {} numbers, but the map has {} {} of positions", what,
                    fmt::join(given, ", "), given.size(), axes, axes == 1 ? "axis" : "axes"),
        fmt::format("give one number for all, or {}", each));
}

}  // namespace

Numbers positions_of(const TensorType& map) { return {map.shape.begin() + 1, map.shape.end()}; }

Numbers numbers_of(const Layer& layer, std::string_view what, Size size, size_t axes) {
    const Numbers all = {size.d, size.h, size.w};
    if (size.count == 1) return Numbers(axes, size.w);
    const Numbers given(all.end() - size.count, all.end());
    if (given.size() != axes) refuse_count(layer, what, given, axes, "one for each axis");
    return given;
}

Numbers checked_numbers(const Layer& layer, std::string_view what, Size size, size_t axes) {
    Numbers numbers = numbers_of(layer, what, size, axes);
    const auto [least, most] = std::ranges::minmax(numbers);
    if (least >= 1 && most <= kMostCells) return numbers;
    const int64_t bound = least < 1 ? 1 : kMostCells;
    layer.refuse("attribute",
                 fmt::format("the {} is {}, but must be {}", what, by(numbers),
                             least < 1 ? by(Numbers(axes, 1)) + " or more"
                                       : "at most " + by(Numbers(axes, kMostCells))),
                 fmt::format("choose a {} of at {} {}", what, least < 1 ? "least" : "most", bound));
}

Numbers sides_of(const Layer& layer, std::string_view what, const Padding& padding, size_t axes) {
    const Padding& p = padding;
    const Numbers all = {p.front, p.back, p.top, p.bottom, p.left, p.right};
    const Numbers lasts(all.end() - static_cast<std::ptrdiff_t>(2 * axes), all.end());
    const auto count = static_cast<size_t>(p.count);
    if (count == 1 || count == 2 * axes || (count == axes && axes > 1)) {
        if (axes == 1 && count == 2) return {p.top, p.left};
        return lasts;
    }
    Numbers given = {p.front, p.top, p.left};
    if (count == 2) given = {p.top, p.left};
    if (count == 4) given = {p.top, p.bottom, p.left, p.right};
    if (count == 6) given = all;
    refuse_count(layer, what, given, axes,
                 axes == 1 ? "one for each side" : "one for each axis, or two for each");
}

Numbers resolved_padding(const Layer& layer, const Padding& padding, const Numbers& positions,
                         const WindowOptions& window) {
    if (!padding.is_same) return sides_of(layer, "padding", padding, positions.size());
    Numbers sides;
    for (size_t axis = 0; axis < positions.size(); axis++) {
        const auto [before, after] = same_padding(positions[axis], window.size[axis],
                                                  window.stride[axis], window.dilation[axis]);
        sides.push_back(before);
        sides.push_back(after);
    }
    return sides;
}

Numbers cells_before(const Numbers& sides) {
    Numbers cells = {0};
    for (size_t i = 0; i < sides.size(); i += 2) cells.push_back(sides[i]);
    return cells;
}

Numbers cells_after(const Numbers& sides) {
    Numbers cells = {0};
    for (size_t i = 1; i < sides.size(); i += 2) cells.push_back(sides[i]);
    return cells;
}

Padded with_border(Layer& layer, Value x, const Numbers& padding, const Border& border,
                   bool has_zeros) {
    const bool is_own =
        border.kind[0] == '\0' ||
        (has_zeros && std::string_view(border.kind) == "constant" && border.value == 0);
    if (is_own || std::ranges::all_of(padding, [](int64_t cells) { return cells == 0; }))
        return {x, padding};
    const Value map = layer.add("padded", "pad", {x},
                                {{"before", cells_before(padding)},
                                 {"after", cells_after(padding)},
                                 {"border", std::string(border.kind)},
                                 {"value", border.value}});
    return {map, Numbers(padding.size(), 0)};
}

void check_strict(const Layer& layer, const Numbers& positions, const WindowOptions& window,
                  const Numbers& padding) {
    const Window w{window.size, window.stride, window.dilation, padding};
    for (int axis = 0; axis < w.axes(); axis++) {
        const auto at = static_cast<size_t>(axis);
        const int64_t in = positions[at], step = w.stride[at], covered = w.covered(axis);
        const int64_t pads = w.before(axis) + w.after(axis), room = in + pads - covered;
        if (room < 0 || room % step == 0) continue;  // what does not fit at all is refused anyway
        layer.refuse("window",
                     fmt::format("({} - {} + {}) / {} + 1 = {:.2f} positions along the {} is no "
                                 "whole number (input, window, padding, stride)",
                                 in, covered, pads, step,
                                 static_cast<double>(room) / static_cast<double>(step) + 1,
                                 position_name(positions.size(), at)),
                     fmt::format("pad {} more, crop {}, choose a stride that divides {}, or leave "
                                 "strict out",
                                 step - room % step, room % step, room));
    }
}

}  // namespace emulsion::internal
