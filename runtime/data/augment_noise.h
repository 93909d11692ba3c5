// The random fields of an augmentation: numbers for each value of a picture, many at once.
//
// They come from Philox 4x32-10, whose counter is the number of a block of four words, so that any
// part of a field can be had alone, and from plain single-precision arithmetic in a fixed order.
#pragma once
#include <cstdint>
#include <span>

#include "runtime/data/augment_draw.h"

namespace emulsion {

// The words of the field that this piece has in this sample; `values` begins with block 0, and
// takes four of each.
// Even numbers in [-1, 1).
void fill_even(const SampleKey& key, uint32_t piece, std::span<float> values);

// Standard normal numbers, by Box and Muller: of the words a and b, and again of c and d,
// sqrt(-2 ln u) cos(2 pi v) and sqrt(-2 ln u) sin(2 pi v), where u and v are their upper 24 bits.
// Errors are below 1e-5; none is beyond 5.9.
void fill_normal(const SampleKey& key, uint32_t piece, std::span<float> values);

}  // namespace emulsion
