// What the options of a layer say of each axis of positions of a map: (C, L), (C, H, W) or (C, D,
// H, W).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/ops/positions.h"
#include "dsl/layer.h"

namespace emulsion::internal {

// One number, or two for padding, for each axis of positions.
using Numbers = std::vector<int64_t>;

// The positions of a map (C, …).
Numbers positions_of(const TensorType& map);

// The numbers of `size`, of which there is one, or one for each axis. Error[attribute] where there
// are others.
Numbers numbers_of(const Layer& layer, std::string_view what, Size size, size_t axes);

// The same of a kernel, stride, dilation or window: from 1 to 32768. Error[attribute].
Numbers checked_numbers(const Layer& layer, std::string_view what, Size size, size_t axes);

// Cells before and behind each axis: top, bottom, left, right. REQUIRES: not `same`.
// Error[attribute] where there are other numbers than one, one for each axis, or two for each.
Numbers sides_of(const Layer& layer, std::string_view what, const Padding& padding, size_t axes);

// A window over a map, in numbers for its axes.
struct WindowOptions {
    Numbers size, stride, dilation;
};

// The numbers of a convolution's options, for each axis of the map.
template <class Options>
WindowOptions window_of(const Layer& layer, const Options& options, size_t axes) {
    return {checked_numbers(layer, "kernel", options.kernel, axes),
            checked_numbers(layer, "stride", options.stride, axes),
            checked_numbers(layer, "dilation", options.dilation, axes)};
}

// The padding of a window over these positions.
Numbers resolved_padding(const Layer& layer, const Padding& padding, const Numbers& positions,
                         const WindowOptions& window);

// What a window finds on the map: with a border that is not the layer's own, the padding is part of
// it.
struct Padded {
    Value map;
    Numbers padding;  // what is left for the op
};
Padded with_border(Layer& layer, Value x, const Numbers& padding, const Border& border,
                   bool has_zeros);

// The lists of an op that pads or crops: 0 for the channels, then the cells before each axis, or
// behind it.
Numbers cells_before(const Numbers& sides);
Numbers cells_after(const Numbers& sides);

// Refuses positions whose last cells no window ends at.
void check_strict(const Layer& layer, const Numbers& positions, const WindowOptions& window,
                  const Numbers& padding);

}  // namespace emulsion::internal
