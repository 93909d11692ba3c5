// What a network may ask for, in one table. Kernels count elements and strides of a tensor in 32
// bits; whatever is built from sizes is checked here first, in 64.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "compiler/graph/op.h"
#include "compiler/graph/type.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

// A number of 32 bits, either way.
inline constexpr int64_t kMostNumber = (int64_t{1} << 31) - 1;

// Elements of the largest task that a recipe cuts a map into.
inline constexpr int64_t kMostTask = int64_t{1} << 17;

// Elements of a tensor in memory, of all samples of a call; also any of its extents. Loops round
// their extents up to whole tasks and these to whole vectors: what is added stays within 32 bits.
inline constexpr int64_t kMostElements = (int64_t{1} << 31) - 2 * kMostTask;

// The product, or -1 where it is more than kMostElements or a factor is below 1.
int64_t bounded_product(std::span<const int64_t> factors);

// Elements in memory of `samples` samples, or -1 where they are more than kMostElements or an
// extent is below 1.
int64_t bounded_elements(const TensorType& type, int64_t samples);

// Throws Error[size] where a tensor of this name has an extent below 1 or too many elements: in one
// sample, or in `batch` of them.
void check_size(const std::string& name, const TensorType& type, int64_t batch = 1);

// Throws Error[factors] where a tensor of this name has factors that do not make up the axis they
// split, graph/type.h.
void check_factors(const std::string& name, const TensorType& type);

// Throws Error[attribute] where a whole number of the op is beyond kMostNumber, either way: what an
// op adds and multiplies then stays within 64 bits.
void check_attributes(const Op& op);

// A size as an index of a kernel.
inline int to_int(int64_t value) {
    EMU_CHECK(value >= -kMostNumber && value <= kMostNumber, "{} is no index of 32 bits", value);
    return static_cast<int>(value);
}

}  // namespace emulsion
