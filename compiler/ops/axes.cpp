// Checks and names of axes.
#include "compiler/ops/axes.h"

#include <fmt/ranges.h>

#include "compiler/support/diagnostic.h"

namespace emulsion {

std::string axis_name(const TensorType& type, size_t axis) {
    if (type.shape.size() != 3) return axis == 0 ? "channels" : fmt::format("axis {}", axis);
    return axis == 0 ? "channels" : axis == 1 ? "height" : "width";
}

void expect_axis(int64_t axis, const TensorType& type) {
    const auto rank = static_cast<int64_t>(type.shape.size());
    if (axis >= 0 && axis < rank) return;
    fail("attribute",
         fmt::format("the axis is {}, but {} has axes 0 to {} beside its samples", axis,
                     to_string(type), rank - 1),
         "choose one of them; 0 is the channels");
}

void expect_numbers(std::string_view name, const std::vector<int64_t>& values,
                    const TensorType& type, int64_t least, int64_t most) {
    if (values.size() != type.shape.size()) {
        fail("attribute",
             fmt::format("{} needs {} numbers, one for each axis of {}, but is [{}]", name,
                         type.shape.size(), to_string(type), fmt::join(values, ",")),
             "give one for the channels, then one for each other axis");
    }
    for (int64_t value : values) {
        if (value >= least && value <= most) continue;
        fail("attribute", fmt::format("{} is {}, but must be {} to {}", name, value, least, most),
             fmt::format("give {} numbers from {} to {}", name, least, most));
    }
}

}  // namespace emulsion
