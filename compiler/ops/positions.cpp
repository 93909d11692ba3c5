// Names and checks of axes of positions.
#include "compiler/ops/positions.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "compiler/ops/expect.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

std::string position_name(size_t axes, size_t axis) {
    constexpr const char* kNames[] = {"depth", "height", "width"};
    return axes == 1 ? "length" : kNames[axis + 3 - axes];
}

std::string by(std::span<const int64_t> extents) {
    return fmt::format("{}", fmt::join(extents, "x"));
}

void expect_any_map(const TensorType& type, std::string_view what) {
    const size_t rank = type.shape.size();
    if (!type.batched || rank < 2 || rank > 4) {
        fail("rank",
             fmt::format("the {} must be a map (n, channels, height, width), or one with a length, "
                         "or a depth, height and width behind the channels, but is {}",
                         what, to_string(type)),
             "put it before the layers that flatten the map");
    }
    expect_f32(type, what);
}

void expect_extents(std::string_view name, const std::vector<int64_t>& values,
                    const TensorType& map) {
    const size_t axes = map.shape.size() - 1;
    const bool are_extents = std::ranges::all_of(values, [](int64_t value) { return value > 0; });
    if (values.size() == axes && are_extents) return;
    const char* words = axes == 1   ? "a length"
                        : axes == 2 ? "a height and a width"
                                    : "a depth, a height and a width";
    const char* list = axes == 1   ? "[length]"
                       : axes == 2 ? "[height,width]"
                                   : "[depth,height,width]";
    fail("attribute", fmt::format("{} must be {}", name, words),
         fmt::format("give {}={}", name, list));
}

}  // namespace emulsion
