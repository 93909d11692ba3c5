// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3"): a random number as
// a function of a counter and a key, so it depends neither on order nor on threads.
#pragma once

#include <Halide.h>

#include <array>

namespace emulsion {

// Four uint32 from a counter of four uint32 and a key of two.
std::array<Halide::Expr, 4> philox(std::array<Halide::Expr, 4> counter,
                                   std::array<Halide::Expr, 2> key);

}  // namespace emulsion
