// What a network is trained towards: of each row a class index, a class index for each pixel, or
// numbers; or nothing, where it learns from rows alone.
#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "runtime/data/picture.h"

namespace emulsion {

enum class TargetKind { kLabel, kMap, kNumbers, kNothing };

struct TargetForm {
    TargetKind kind = TargetKind::kLabel;
    // Of a map 1, H, W; of numbers C, H, W, or K, 1, 1 where they are a vector.
    PictureShape shape{1, 1, 1};
    std::optional<int32_t> ignored = std::nullopt;  // the class index of pixels that do not count
    // Of lines and volumes, the axes (C, L) or (C, D, H, W), which `shape` is another sight of.
    std::vector<int64_t> axes = {};

    uint64_t elements() const { return shape.elements(); }  // 4 bytes each
};

}  // namespace emulsion
