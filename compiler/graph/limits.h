// What a network may ask for, in one table. Kernels count elements and strides of a tensor in 32
// bits; whatever is built from sizes is checked here first, in 64.
#pragma once

#include <cstdint>
#include <string>

#include "compiler/graph/type.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

// Elements of a tensor in memory, of all samples of a call; also any of its extents.
inline constexpr int64_t kMostElements = (int64_t{1} << 31) - 1;

// Elements in memory of `samples` samples, or -1 where they are more than kMostElements.
int64_t bounded_elements(const TensorType& type, int64_t samples);

// Throws Error[size] where a tensor of this name has too many elements: in one sample, or in
// `batch` of them.
void check_size(const std::string& name, const TensorType& type, int64_t batch = 1);

// A size as an index of a kernel.
inline int to_int(int64_t value) {
    EMU_CHECK(value >= -kMostElements && value <= kMostElements, "{} is no index of 32 bits",
              value);
    return static_cast<int>(value);
}

}  // namespace emulsion
