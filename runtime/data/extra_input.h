// What a network reads of each row besides its first input.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace emulsion {

// The whole numbers that a network reads as indices.
struct IndexRange {
    int64_t limit = 0;    // 0 to limit - 1; 0: it reads no indices
    int32_t ignored = 0;  // one more, unless it is 0

    bool contains(int64_t number) const {
        return (number >= 0 && number < limit) || (ignored != 0 && number == ignored);
    }
};

struct ExtraInput {
    std::string name;
    std::vector<int64_t> shape;  // of one row: (), (K), (C, L), (C, H, W) or (C, D, H, W)
    IndexRange indices{};        // where they are indices; else numbers

    // Of one row, 4 bytes each; in memory channels lie innermost, as in [H][W][C].
    uint64_t elements() const {
        uint64_t product = 1;
        for (const int64_t extent : shape) product *= static_cast<uint64_t>(extent);
        return product;
    }
};

}  // namespace emulsion
