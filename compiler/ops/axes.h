// Axes of one sample, by which ops name what they cut, join, turn or repeat: 0 is the channels, or
// the features, then the positions, the last one innermost of these.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/graph/type.h"

namespace emulsion {

// The place of an axis among the memory coordinates of a batched tensor of `rank` axes.
inline size_t coordinate_of(size_t rank, size_t axis) { return axis == 0 ? 0 : rank - axis; }

// "height" of a map, "axis 1" of anything else.
std::string axis_name(const TensorType& type, size_t axis);

// An axis of `type`, which has some. Error[attribute].
void expect_axis(int64_t axis, const TensorType& type);

// A list with one number for each axis of `type`, from `least` to `most`. Error[attribute].
void expect_numbers(std::string_view name, const std::vector<int64_t>& values,
                    const TensorType& type, int64_t least, int64_t most);

}  // namespace emulsion
