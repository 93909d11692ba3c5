// Offsets by liveness.
#include "compiler/plan/memory.h"

#include <gtest/gtest.h>

#include <random>

namespace emulsion::test {
namespace {

void expect_sound(const std::vector<LiveBlock>& blocks, const MemoryPlan& plan) {
    for (size_t i = 0; i < blocks.size(); i++) {
        const LiveBlock& a = blocks[i];
        ASSERT_GE(a.offset, 0);
        ASSERT_EQ(a.offset % kPlanAlignment, 0);
        ASSERT_LE(a.offset + a.bytes, plan.bytes);
        for (size_t j = 0; j < i; j++) {
            const LiveBlock& b = blocks[j];
            if (a.last < b.first || b.last < a.first) continue;
            ASSERT_TRUE(a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset)
                << "blocks " << i << " and " << j << " overlap at " << a.offset << " and "
                << b.offset;
        }
    }
    ASSERT_EQ(plan.bytes % kPlanAlignment, 0);
    ASSERT_GE(plan.bytes, plan.largest_live_bytes);
}

TEST(Offsets, RandomLifetimesNeverOverlap) {
    for (unsigned seed = 0; seed < 300; seed++) {
        SCOPED_TRACE(seed);
        std::mt19937 random(seed);
        std::vector<LiveBlock> blocks(1 + random() % 60);
        int64_t sum = 0;
        for (LiveBlock& block : blocks) {
            block.bytes = 1 + static_cast<int64_t>(random() % (seed % 2 == 0 ? 300 : 5000));
            block.first = static_cast<int>(random() % 40);
            block.last = block.first + static_cast<int>(random() % 15);
            sum += (block.bytes + kPlanAlignment - 1) / kPlanAlignment * kPlanAlignment;
        }
        MemoryPlan plan = assign_offsets(blocks);
        expect_sound(blocks, plan);
        EXPECT_LE(plan.bytes, sum);
    }
}

TEST(Offsets, AChainNeedsTwoBlocks) {
    std::vector<LiveBlock> blocks;
    for (int i = 0; i < 10; i++) blocks.push_back({1000, i, i + 1, 0});
    MemoryPlan plan = assign_offsets(blocks);
    expect_sound(blocks, plan);
    EXPECT_EQ(plan.bytes, 2 * 1024);
    EXPECT_EQ(plan.largest_live_bytes, 2 * 1024);
}

TEST(Offsets, ASmallBlockFitsIntoAHole) {
    std::vector<LiveBlock> blocks = {
        {640, 0, 5, 0}, {512, 0, 1, 0}, {320, 0, 5, 0}, {256, 2, 4, 0}, {256, 2, 4, 0}};
    MemoryPlan plan = assign_offsets(blocks);
    expect_sound(blocks, plan);
    EXPECT_EQ(plan.bytes, 640 + 512 + 320);
    EXPECT_EQ(plan.bytes, plan.largest_live_bytes);
}

TEST(Offsets, BlocksAreAlignedAndTheLastByteCounts) {
    std::vector<LiveBlock> blocks = {{65, 0, 0, 0}, {1, 0, 0, 0}, {64, 1, 1, 0}};
    MemoryPlan plan = assign_offsets(blocks);
    EXPECT_EQ(blocks[0].offset, 0);
    EXPECT_EQ(blocks[1].offset, 128);
    EXPECT_EQ(blocks[2].offset, 0);
    EXPECT_EQ(plan.bytes, 192);
    EXPECT_EQ(plan.largest_live_bytes, 192);
}

TEST(Offsets, AReaderInTheCallThatWritesCounts) {
    std::vector<LiveBlock> blocks = {{64, 0, 1, 0}, {64, 1, 2, 0}};
    assign_offsets(blocks);
    EXPECT_NE(blocks[0].offset, blocks[1].offset);
}

TEST(Offsets, NothingNeedsNothing) {
    std::vector<LiveBlock> blocks;
    MemoryPlan plan = assign_offsets(blocks);
    EXPECT_EQ(plan.bytes, 0);
    EXPECT_EQ(plan.largest_live_bytes, 0);
}

}  // namespace
}  // namespace emulsion::test
