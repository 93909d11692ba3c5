// Training and validation subsets of a data set.
//
// Each class gives floor(fraction * n) of its n pictures to validation, in exact decimal
// arithmetic: 0.29 of 100 is 29, where binary floating point says 28. Which pictures is a function
// of the seed, or they are the leading ones.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace emulsion {

// A share between 0 and 1, as it is written: numerator / denominator, the latter a power of ten.
struct Fraction {
    uint64_t numerator = 0, denominator = 1;

    uint64_t of(uint64_t count) const;  // floor(fraction * count)
};

// Reads "0.1", ".25", "1e-2" or "10%"; throws RuntimeError naming `where` (such as "--validation")
// otherwise.
Fraction parse_fraction(std::string_view text, std::string_view where);

struct Split {
    std::vector<uint32_t> train, validation;  // indices, ascending; together each index once
};

// REQUIRES: labels are in [0, classes).
Split split_by_class(std::span<const int32_t> labels, int classes, Fraction validation,
                     uint64_t seed);

// The same with the first pictures of each class, in the order of the data, for validation.
Split split_leading(std::span<const int32_t> labels, int classes, Fraction validation);

// 0 .. count - 1: the subset that is everything.
std::vector<uint32_t> whole_set(uint64_t count);

}  // namespace emulsion
