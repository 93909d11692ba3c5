// Axes of positions brought to three, so that one nest of loops serves lines, maps and volumes.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace emulsion::reference {

// A number for each of three axes; those in front that are missing are of one cell.
using Three = std::array<int64_t, 3>;

// The last numbers of a list, which begin at `first`, with `missing` in front.
inline Three three(const std::vector<int64_t>& list, size_t first, int64_t missing = 1) {
    Three result;
    result.fill(missing);
    std::copy(list.begin() + static_cast<std::ptrdiff_t>(first), list.end(),
              result.end() - static_cast<std::ptrdiff_t>(list.size() - first));
    return result;
}

}  // namespace emulsion::reference
