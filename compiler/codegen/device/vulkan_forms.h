// What Halide 21's code for Vulkan gets wrong, most of it without a word, written so that it gets
// it right.
//
// - Integers are shifted right as if they had no sign, and division and remainder are made of such
//   shifts: of what may be negative, both are wrong.
// - Integers that fit into 16 bits are computed in them, which devices need not have: the kernel is
//   refused.
// - Drivers may take a float for a number and (a + c) - c for a: modules do not say of strict
//   arithmetic that it is to be rounded as written, so a test for a NaN may vanish, and rounding to
//   an integer by a large constant too.
// - x != y is false for a NaN. A scalar that selects between vectors, two vectors that are
//   interleaved and a cast to a truth value become modules that are none, or no module.
// - A truth value that is an argument of a kernel arrives as another.
// - The first axis of a grid is long on some drivers, but has 65535 blocks on others.
#pragma once

#include <Halide.h>

namespace emulsion {

// The most blocks along an axis of a grid: of each on Vulkan, of the second and third elsewhere.
inline constexpr int kMostBlocks = 65535;

// The kernel in forms that come out right. `batch`: the most samples of a call. Throws
// Error[device] where it divides by what may not be positive.
Halide::Internal::Stmt with_vulkan_forms(const Halide::Internal::Stmt& kernel, int batch);

}  // namespace emulsion
