// The arithmetic of a window that slides over a map: output size, padding, receptive field.
// Convolution and pooling share it; the layer table of a network uses it too.
//
// With k = dilation * (size - 1) + 1 cells covered, out = floor((in + padding - k) / stride) + 1.
// Rounded up (`ceil`), a last window may hang over the far side, if it begins inside the map or the
// padding before it.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace emulsion {

// One number for each axis of positions, in their order: l, or h, w, or d, h, w.
struct Window {
    std::vector<int64_t> size;
    std::vector<int64_t> stride = {1, 1};
    std::vector<int64_t> dilation = {1, 1};
    std::vector<int64_t> padding = {0, 0, 0, 0};  // of each axis before and after: top, bottom, …
    bool ceil = false;

    int axes() const { return static_cast<int>(size.size()); }
    int64_t before(int axis) const { return padding[static_cast<size_t>(2 * axis)]; }
    int64_t after(int axis) const { return padding[static_cast<size_t>(2 * axis + 1)]; }
    // Cells from the first tap to the last one.
    int64_t covered(int axis) const;
    // Positions of the window along an axis of `in` cells. REQUIRES: check_window passes.
    int64_t positions(int axis, int64_t in) const;
    // Whether a tap of some position lies outside an axis of `in` cells.
    bool leaves(int axis, int64_t in) const;
    // Whether the windows neither overlap nor leave cells of a map of these extents out.
    bool tiles(std::span<const int64_t> extents) const;
    int64_t taps() const;
};

// Whether the window is well formed and fits into a map of these extents; `what` is "filter" or
// "window". Throws Error[attribute] for lists of wrong length and numbers out of range,
// Error[window] where it is larger than the padded map.
void check_window(const Window& window, std::span<const int64_t> extents, std::string_view what);

// Pooling only: padding as wide as the window makes windows without a cell. Throws Error[padding].
void check_pool_padding(const Window& window);

// Padding {before, after} that gives ceil(in / stride) positions; an odd total puts the extra one
// after.
std::array<int64_t, 2> same_padding(int64_t in, int64_t size, int64_t stride, int64_t dilation);

// Cells of the network's input that one output cell sees along an axis: `size` of them, `jump`
// further on for the next output cell (less than 1 on a finer map), `offset` is the input position
// of the centre of the first one. Sizes end at kMostElements.
struct ReceptiveField {
    double offset = 0;
    int64_t size = 1;
    double jump = 1;
    bool operator==(const ReceptiveField&) const = default;
};
ReceptiveField through(const ReceptiveField& field, const Window& window, int axis);
// The same through the transposed convolution that belongs to a convolution of this window.
ReceptiveField back_through(const ReceptiveField& field, const Window& window, int axis);
// The same where `in` cells are resized to `out`, each from the nearest one or from the two around
// its centre.
ReceptiveField resized(const ReceptiveField& field, int64_t in, int64_t out, bool is_nearest);

}  // namespace emulsion
