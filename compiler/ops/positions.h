// The axes of positions of a map, those behind its channels: l of a line (C, L), h and w of a map
// (C, H, W), d, h and w of a volume (C, D, H, W).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/graph/type.h"

namespace emulsion {

// "height": length; height, width; or depth, height, width of maps that have so many.
std::string position_name(size_t axes, size_t axis);

// "5x5"
std::string by(std::span<const int64_t> extents);

// A batched f32 map of one to three axes of positions. Error[rank] or Error[element].
void expect_any_map(const TensorType& type, std::string_view what);

// An attribute with a number above 0 for each axis of the positions of `map`. Error[attribute].
void expect_extents(std::string_view name, const std::vector<int64_t>& values,
                    const TensorType& map);

}  // namespace emulsion
