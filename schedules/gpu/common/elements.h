// A grid over the elements of a Func that are independent of each other: one thread makes one of
// them, or a vector of four along the channels.
#pragma once

#include <Halide.h>

#include <span>
#include <vector>

#include "compiler/graph/limits.h"
#include "compiler/recipe/recipe.h"

namespace emulsion {

inline constexpr int kDeviceVector = 4;  // f32 of the widest access of memory

// Of the device that costs are those of: each wants a block.
inline constexpr double kMultiprocessors = 100;

// Blocks along the second and the third axis of a grid.
inline constexpr int kMostCopies = 65535;

// Estimated seconds of so many launches on a common device, whatever the machine that compiles.
// `efficiency`: the share of the peak that its multiply-adds reach.
double device_seconds(double launches, double bytes, double multiply_adds = 0,
                      double efficiency = 1);

// In how many parts a reduction is summed, a power of two: as many as a device needs to be busy,
// where one part has so many blocks, but `fewest` at least and `most` at most, which wins.
int parts_that_fill(int64_t blocks, int64_t most, int fewest = 1);

// Bytes of memory that a kernel moves by its scratch: each element is stored once and read once.
double scratch_bytes(const std::vector<Scratch>& scratch);

// How many arrays of these extents, side by side, have elements that a kernel can count; 0 where
// one has too many.
int64_t most_copies(std::span<const int64_t> extents);

// Whether a kernel can count the elements of each of them, and none has more than `most`.
bool can_be_counted(const std::vector<Scratch>& scratch, int64_t most = kMostElements);

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
