// Where the elements of a tensor lie in memory: the one place that strides come from.
#pragma once

#include <cstdint>
#include <vector>

#include "compiler/graph/type.h"

namespace emulsion {

struct Dimension {
    int64_t extent = 0;
    int64_t stride = 0;  // elements
};

// Dimensions of a tensor in memory, innermost first: those of memory_extents, then n with extent
// `samples` where it is batched. A batched tensor may be some channels of a larger one: `pitch` is
// how many that one has, 0 where the tensor lies by itself.
std::vector<Dimension> memory_dimensions(const TensorType& type, int64_t samples,
                                         int64_t pitch = 0);

// Bytes from the first element to behind the last one.
int64_t span_bytes(const TensorType& type, int64_t samples, int64_t pitch);

// The same for a dense array of these extents.
std::vector<Dimension> dense_dimensions(const std::vector<int64_t>& extents);

// An element as descriptors say it: halide_type_t's code, bits and lanes.
uint32_t type_word(ElementType element);

}  // namespace emulsion
