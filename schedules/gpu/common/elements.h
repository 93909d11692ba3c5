// A grid over the elements of a Func that are independent of each other: one thread makes one of
// them, or a vector of four along the channels.
#pragma once

#include <Halide.h>

#include "compiler/recipe/group.h"

namespace emulsion {

inline constexpr int kDeviceVector = 4;  // f32 of the widest access of memory

// Of the device that costs are those of: each wants a block.
inline constexpr double kMultiprocessors = 100;

// Estimated seconds of so many launches on a common device, whatever the machine that compiles.
// `efficiency`: the share of the peak that its multiply-adds reach.
double device_seconds(double launches, double bytes, double multiply_adds = 0,
                      double efficiency = 1);

// Whether the elements of a tensor fall into whole vectors along its innermost axis.
bool has_vectors(const TensorType& type);

// Schedules `func`, over memory coordinates. `vectors`: each thread makes a vector. REQUIRES:
// has_vectors of its type where it does. Returns the loop over the threads of a block.
Halide::Var schedule_elements(Halide::Func func, int threads, bool vectors);

// Schedules what a group stores: a Func whose threads compute all of `values`, a Tuple, before they
// store any of it, as a result may lie in the memory of an operand that another still has to read;
// `values` itself where it is one.
Halide::Func schedule_stores(Halide::Func values, int threads, bool vectors);

}  // namespace emulsion
