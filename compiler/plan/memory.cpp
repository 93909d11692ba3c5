// Greedy placement in several orders of the blocks.
#include "compiler/plan/memory.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "compiler/graph/type.h"

namespace emulsion {

namespace {

// Attempts with one order: each moves the block that reached highest to the front.
constexpr int kPromotions = 100;

bool overlap_in_time(const LiveBlock& a, const LiveBlock& b) {
    return a.first <= b.last && b.first <= a.last;
}

// Lowest aligned offset where `block` meets none of `placed`, which are sorted by offset.
int64_t lowest_offset(const LiveBlock& block, const std::vector<const LiveBlock*>& placed,
                      int64_t alignment) {
    int64_t offset = 0;
    for (const LiveBlock* other : placed) {
        if (!overlap_in_time(block, *other)) continue;
        if (offset + block.bytes <= other->offset) break;
        offset = std::max(offset, round_up(other->offset + other->bytes, alignment));
    }
    return offset;
}

// Places the blocks in this order and returns the bytes that they need.
int64_t place(std::vector<LiveBlock>& blocks, const std::vector<size_t>& order, int64_t alignment) {
    std::vector<const LiveBlock*> placed;
    int64_t bytes = 0;
    for (size_t index : order) {
        LiveBlock& block = blocks[index];
        block.offset = lowest_offset(block, placed, alignment);
        bytes = std::max(bytes, block.offset + block.bytes);
        auto by_offset = [](const LiveBlock* a, const LiveBlock* b) {
            return a->offset < b->offset;
        };
        placed.insert(std::upper_bound(placed.begin(), placed.end(), &block, by_offset), &block);
    }
    return round_up(bytes, alignment);
}

// All blocks, those with the largest `key` first.
template <class Key>
std::vector<size_t> largest_first(const std::vector<LiveBlock>& blocks, const Key& key) {
    std::vector<size_t> order(blocks.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return key(blocks[a]) > key(blocks[b]); });
    return order;
}

// Moves the block that reaches highest to the front: it then gets the lowest offset.
void promote_highest(const std::vector<LiveBlock>& blocks, std::vector<size_t>& order) {
    auto highest = std::max_element(order.begin(), order.end(), [&](size_t a, size_t b) {
        return blocks[a].offset + blocks[a].bytes < blocks[b].offset + blocks[b].bytes;
    });
    std::rotate(order.begin(), highest, highest + 1);
}

}  // namespace

std::vector<int64_t> live_bytes(const std::vector<LiveBlock>& blocks, int64_t alignment) {
    int calls = 0;
    for (const LiveBlock& block : blocks) calls = std::max(calls, block.last + 1);
    std::vector<int64_t> change(static_cast<size_t>(calls) + 1, 0);
    for (const LiveBlock& block : blocks) {
        const int64_t bytes = round_up(block.bytes, alignment);
        change[static_cast<size_t>(block.first)] += bytes;
        change[static_cast<size_t>(block.last) + 1] -= bytes;
    }
    change.pop_back();
    std::partial_sum(change.begin(), change.end(), change.begin());
    return change;
}

MemoryPlan assign_offsets(std::vector<LiveBlock>& blocks, int64_t alignment) {
    MemoryPlan plan;
    if (blocks.empty()) return plan;
    plan.largest_live_bytes = std::ranges::max(live_bytes(blocks, alignment));
    std::vector<LiveBlock> best = blocks, tried = blocks;
    plan.bytes = std::numeric_limits<int64_t>::max();
    auto attempt = [&](const std::vector<size_t>& order) {
        int64_t bytes = place(tried, order, alignment);
        if (bytes >= plan.bytes) return;
        plan.bytes = bytes;
        best = tried;
    };
    auto bytes = [](const LiveBlock& block) { return block.bytes; };
    auto area = [](const LiveBlock& block) { return block.bytes * (block.last - block.first + 1); };
    for (std::vector<size_t> order : {largest_first(blocks, bytes), largest_first(blocks, area)}) {
        for (int i = 0; i < kPromotions && plan.bytes > plan.largest_live_bytes; i++) {
            attempt(order);
            promote_highest(tried, order);
        }
    }
    blocks = std::move(best);
    return plan;
}

}  // namespace emulsion
