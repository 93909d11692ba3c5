// Strides.
#include "compiler/graph/layout.h"

#include "compiler/support/diagnostic.h"

namespace emulsion {

std::vector<Dimension> memory_dimensions(const TensorType& type, int64_t samples, int64_t pitch) {
    std::vector<int64_t> extents = memory_extents(type);
    if (type.batched) extents.push_back(samples);
    std::vector<Dimension> dimensions = dense_dimensions(extents);
    if (pitch == 0) return dimensions;
    EMU_CHECK(type.batched && !type.shape.empty() && pitch >= type.shape[0],
              "{} cannot be a part of {} channels", to_string(type), pitch);
    for (size_t i = 1; i < dimensions.size(); i++)
        dimensions[i].stride = dimensions[i].stride / type.shape[0] * pitch;
    return dimensions;
}

int64_t span_bytes(const TensorType& type, int64_t samples, int64_t pitch) {
    int64_t last = 0;
    for (const auto& [extent, stride] : memory_dimensions(type, samples, pitch))
        last += (extent - 1) * stride;
    return (last + 1) * bytes_of(type.element);
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
