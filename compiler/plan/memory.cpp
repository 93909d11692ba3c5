// Greedy placement, larger blocks first.
#include "compiler/plan/memory.h"

#include <algorithm>
#include <numeric>

#include "compiler/graph/type.h"

namespace emulsion {

namespace {

bool overlap_in_time(const LiveBlock& a, const LiveBlock& b) {
    return a.first <= b.last && b.first <= a.last;
}

// Lowest aligned offset where `block` meets none of `placed`, which are sorted by offset.
int64_t lowest_offset(const LiveBlock& block, const std::vector<const LiveBlock*>& placed) {
    int64_t offset = 0;
    for (const LiveBlock* other : placed) {
        if (!overlap_in_time(block, *other)) continue;
        if (offset + block.bytes <= other->offset) break;
        offset = std::max(offset, round_up(other->offset + other->bytes, kPlanAlignment));
    }
    return offset;
}

}  // namespace

MemoryPlan assign_offsets(std::vector<LiveBlock>& blocks) {
    std::vector<size_t> order(blocks.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return blocks[a].bytes > blocks[b].bytes; });
    std::vector<const LiveBlock*> placed;
    MemoryPlan plan;
    for (size_t index : order) {
        LiveBlock& block = blocks[index];
        block.offset = lowest_offset(block, placed);
        plan.bytes = std::max(plan.bytes, block.offset + block.bytes);
        auto by_offset = [](const LiveBlock* a, const LiveBlock* b) {
            return a->offset < b->offset;
        };
        placed.insert(std::upper_bound(placed.begin(), placed.end(), &block, by_offset), &block);
    }
    plan.bytes = round_up(plan.bytes, kPlanAlignment);
    int calls = 0;
    for (const LiveBlock& block : blocks) calls = std::max(calls, block.last + 1);
    for (int call = 0; call < calls; call++) {
        int64_t live = 0;
        for (const LiveBlock& block : blocks) {
            if (block.first <= call && call <= block.last)
                live += round_up(block.bytes, kPlanAlignment);
        }
        plan.largest_live_bytes = std::max(plan.largest_live_bytes, live);
    }
    return plan;
}

}  // namespace emulsion
