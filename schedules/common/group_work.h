// What recipes of all families ask of a group.
#pragma once

#include "compiler/recipe/group.h"

namespace emulsion {

// Whether all results of a group have one shape.
bool has_one_shape(const Group& group);
// Whether it is that of the anchor's output, of each sample or (not `batched`) of all.
bool has_shape_of_anchor(const Group& group, bool batched);

// Bytes of all tensors the group reads and writes, for its whole batch.
double traffic_bytes(const Group& group);

inline int divide_up(int value, int divisor) { return (value + divisor - 1) / divisor; }

}  // namespace emulsion
