// Offsets by liveness: blocks that live at different times share bytes.
#pragma once

#include <cstdint>
#include <vector>

namespace emulsion {

// A block of memory that is written in call `first` and last read in call `last`.
struct LiveBlock {
    int64_t bytes = 0;
    int first = 0;
    int last = 0;
    int64_t offset = 0;  // assigned
};

struct MemoryPlan {
    int64_t bytes = 0;               // what all blocks need
    int64_t largest_live_bytes = 0;  // lower bound: the most that is alive in one call
};

// The bytes that are alive in each call, up to the last one of a block.
std::vector<int64_t> live_bytes(const std::vector<LiveBlock>& blocks, int64_t alignment);

// Assigns offsets, multiples of `alignment`, so that no two blocks alive in the same call overlap.
// Greedy: one block after another, each at the lowest offset that is free during its life; of
// several orders of the blocks, the one that needs the fewest bytes.
MemoryPlan assign_offsets(std::vector<LiveBlock>& blocks, int64_t alignment);

}  // namespace emulsion
