// Philox 4x32-10 (Salmon and others, 2011): random numbers as a function of a counter and a key.
//
// Whoever needs the number at a place asks for that place, so results depend on no order and no
// thread.
#pragma once
#include <array>
#include <cstdint>
#include <span>

namespace emulsion {

// What a stream of numbers is for; streams of one seed are independent.
enum class Stream : uint32_t {
    shuffle = 1,
    split = 2,
    pattern = 3,
    noise = 4,
    augment = 5,
    augment_field = 6
};

std::array<uint32_t, 4> philox(const std::array<uint32_t, 4>& counter, uint64_t key);

// A number in [0, bound) for place `index` of the stream's row `row`. REQUIRES: bound > 0.
uint64_t random_below(uint64_t bound, uint64_t seed, Stream stream, uint64_t row, uint64_t index);

// Puts `values` in the random order of (seed, stream, row). REQUIRES: row < 2^32.
void shuffle(std::span<uint32_t> values, uint64_t seed, Stream stream, uint64_t row);

}  // namespace emulsion
