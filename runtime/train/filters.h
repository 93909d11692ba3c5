// The filters of a network's first convolution, as a picture.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "runtime/abi/emulsion_abi.h"
#include "runtime/data/picture.h"

namespace emulsion {

struct Filters {
    std::string name;             // of the tensor
    int count = 0, channels = 0;  // outputs and inputs
    int height = 0, width = 0;
    std::vector<float> values;  // [count][channels][height][width]
};

// The first parameter with windows larger than one value; nothing where there is none.
std::optional<Filters> first_filters(const emulsion_info& info, const emulsion_memory& memory);

// The same of a weights file. Throws RuntimeError where that cannot be read.
std::optional<Filters> first_filters(const std::string& path);

// Tiles beside each other, one value a pixel, with a pixel between them: zero is grey, the largest
// magnitude of all filters black or white. Of filters over three channels, red, green and blue
// together; of others the first channel. At most kMostFilters of them.
inline constexpr int kMostFilters = 256, kMostFilterSide = 64;
Picture filters_picture(const Filters& filters);

}  // namespace emulsion
