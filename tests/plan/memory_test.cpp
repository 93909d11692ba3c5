// Offsets by liveness.
#include "compiler/plan/memory.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/plan/plan_support.h"
#include "tests/support/golden.h"
#include "tests/support/sanitized.h"

namespace emulsion::test {
namespace {

constexpr int64_t kAlignment = 64;

void expect_sound(const std::vector<LiveBlock>& blocks, const MemoryPlan& plan) {
    for (size_t i = 0; i < blocks.size(); i++) {
        const LiveBlock& a = blocks[i];
        ASSERT_GE(a.offset, 0);
        ASSERT_EQ(a.offset % kAlignment, 0);
        ASSERT_LE(a.offset + a.bytes, plan.bytes);
        for (size_t j = 0; j < i; j++) {
            const LiveBlock& b = blocks[j];
            if (a.last < b.first || b.last < a.first) continue;
            ASSERT_TRUE(a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset)
                << "blocks " << i << " and " << j << " overlap at " << a.offset << " and "
                << b.offset;
        }
    }
    ASSERT_EQ(plan.bytes % kAlignment, 0);
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
            sum += (block.bytes + kAlignment - 1) / kAlignment * kAlignment;
        }
        MemoryPlan plan = assign_offsets(blocks, kAlignment);
        expect_sound(blocks, plan);
        EXPECT_LE(plan.bytes, sum);
    }
}

TEST(Offsets, AChainNeedsTwoBlocks) {
    std::vector<LiveBlock> blocks;
    for (int i = 0; i < 10; i++) blocks.push_back({1000, i, i + 1, 0});
    MemoryPlan plan = assign_offsets(blocks, kAlignment);
    expect_sound(blocks, plan);
    EXPECT_EQ(plan.bytes, 2 * 1024);
    EXPECT_EQ(plan.largest_live_bytes, 2 * 1024);
}

TEST(Offsets, ASmallBlockFitsIntoAHole) {
    std::vector<LiveBlock> blocks = {
        {640, 0, 5, 0}, {512, 0, 1, 0}, {320, 0, 5, 0}, {256, 2, 4, 0}, {256, 2, 4, 0}};
    MemoryPlan plan = assign_offsets(blocks, kAlignment);
    expect_sound(blocks, plan);
    EXPECT_EQ(plan.bytes, 640 + 512 + 320);
    EXPECT_EQ(plan.bytes, plan.largest_live_bytes);
}

TEST(Offsets, BlocksAreAlignedAndTheLastByteCounts) {
    std::vector<LiveBlock> blocks = {{65, 0, 0, 0}, {1, 0, 0, 0}, {64, 1, 1, 0}};
    MemoryPlan plan = assign_offsets(blocks, kAlignment);
    EXPECT_EQ(blocks[0].offset, 0);
    EXPECT_EQ(blocks[1].offset, 128);
    EXPECT_EQ(blocks[2].offset, 0);
    EXPECT_EQ(plan.bytes, 192);
    EXPECT_EQ(plan.largest_live_bytes, 192);
}

TEST(Offsets, AReaderInTheCallThatWritesCounts) {
    std::vector<LiveBlock> blocks = {{64, 0, 1, 0}, {64, 1, 2, 0}};
    assign_offsets(blocks, kAlignment);
    EXPECT_NE(blocks[0].offset, blocks[1].offset);
}

// The largest blocks first need 576 bytes here.
TEST(Offsets, SeveralOrdersAreTried) {
    std::vector<LiveBlock> blocks = {{192, 3, 5, 0}, {384, 0, 2, 0}, {64, 1, 3, 0}, {320, 4, 6, 0}};
    MemoryPlan plan = assign_offsets(blocks, kAlignment);
    expect_sound(blocks, plan);
    EXPECT_EQ(plan.bytes, plan.largest_live_bytes);
}

TEST(Offsets, NothingNeedsNothing) {
    std::vector<LiveBlock> blocks;
    MemoryPlan plan = assign_offsets(blocks, kAlignment);
    EXPECT_EQ(plan.bytes, 0);
    EXPECT_EQ(plan.largest_live_bytes, 0);
}

// The whole workspace of a network without its slabs: within 5 % of what no placement can go below.
TEST(Offsets, OfEveryExampleNetwork) {
    for (const auto& [name, batch] : kExampleNetworks) {
        if (is_left_out(name)) continue;
        for (bool training : {true, false}) {
            std::vector<int> batches =
                training ? std::vector<int>{batch} : std::vector<int>{1, batch};
            Plan plan = plan_network(golden_network(name), {training, batches, true, {isa_avx2()}});
            const VariantPlan& variant = plan.variants[0];
            double ratio = static_cast<double>(variant.activation_bytes) /
                           static_cast<double>(variant.largest_live_bytes);
            SCOPED_TRACE(fmt::format("{} training={}: {} bytes, largest live set {}", name,
                                     training, variant.activation_bytes,
                                     variant.largest_live_bytes));
            EXPECT_GT(variant.largest_live_bytes, 0);
            EXPECT_GE(ratio, 1);
            EXPECT_LE(ratio, 1.05);
            EXPECT_NE(print(plan).find(fmt::format("{} bytes, {:.3f} times the largest live set",
                                                   variant.activation_bytes, ratio)),
                      std::string::npos);
        }
    }
}

}  // namespace
}  // namespace emulsion::test
