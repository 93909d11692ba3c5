// Dense strides.
#include "compiler/graph/layout.h"

namespace emulsion {

std::vector<Dimension> memory_dimensions(const TensorType& type, int64_t samples) {
    std::vector<int64_t> extents = memory_extents(type);
    if (type.batched) extents.push_back(samples);
    return dense_dimensions(extents);
}

std::vector<Dimension> dense_dimensions(const std::vector<int64_t>& extents) {
    std::vector<Dimension> dimensions;
    int64_t stride = 1;
    for (int64_t extent : extents) {
        dimensions.push_back({extent, stride});
        stride *= extent;
    }
    return dimensions;
}

uint32_t type_word(ElementType element) {
    switch (element) {
        case ElementType::f32:
            return 2 | (32 << 8) | (1 << 16);
        case ElementType::i32:
            return 0 | (32 << 8) | (1 << 16);
        case ElementType::u8:
            return 1 | (8 << 8) | (1 << 16);
    }
    return 0;
}

}  // namespace emulsion
