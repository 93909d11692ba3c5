// halide_malloc and halide_free: the stack in a worker's slab.
#include <gtest/gtest.h>

#include <csignal>
#include <cstring>

#include "tests/runtime/abi_support.h"

namespace emulsion::testing {
namespace {

struct Slab {
    explicit Slab(std::size_t bytes) : block(bytes), worker{} {
        worker.slab = static_cast<char*>(block.get());
        worker.slab_bytes = bytes;
    }
    char* take(std::size_t bytes) { return static_cast<char*>(halide_malloc(&worker, bytes)); }
    void give(void* block_given) { halide_free(&worker, block_given); }
    Block block;
    emulsion_worker worker;
};

TEST(AbiSlab, BlocksAreAlignedAndDisjoint) {
    Slab slab(4096);
    char* a = slab.take(1);
    char* b = slab.take(65);
    char* c = slab.take(0);
    for (char* block : {a, b, c}) EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % 64, 0u);
    EXPECT_GE(b, a + 64);
    EXPECT_GE(c, b + 128);
    EXPECT_EQ(slab.worker.used,
              emulsion_slab_bytes_of(1) + emulsion_slab_bytes_of(65) + emulsion_slab_bytes_of(0));
}

TEST(AbiSlab, StatedBytesAreEnoughAndNotMore) {
    const std::size_t bytes = emulsion_slab_bytes_of(1000) + emulsion_slab_bytes_of(64);
    EXPECT_EQ(bytes, 64u + 1024u + 64u + 64u);
    Slab slab(bytes);
    std::memset(slab.take(1000), 1, 1000);
    char* last = slab.take(64);
    EXPECT_EQ(last + 64, slab.worker.slab + bytes);
}

TEST(AbiSlab, FreesInReverseOrderReturnEverything) {
    Slab slab(4096);
    char* a = slab.take(100);
    char* b = slab.take(100);
    slab.give(b);
    EXPECT_EQ(slab.worker.used, emulsion_slab_bytes_of(100));
    EXPECT_EQ(slab.take(100), b);
    slab.give(b);
    slab.give(a);
    EXPECT_EQ(slab.worker.used, 0u);
    EXPECT_EQ(slab.worker.last, 0u);
}

TEST(AbiSlab, EarlyFreesLeaveHolesUntilTheTopIsFreed) {
    Slab slab(4096);
    char* a = slab.take(64);
    char* b = slab.take(64);
    char* c = slab.take(64);
    std::memset(c, 7, 64);
    slab.give(a);
    slab.give(b);
    EXPECT_EQ(slab.worker.used, 3 * emulsion_slab_bytes_of(64));
    char* d = slab.take(64);  // holes are not reused: d lies above c
    EXPECT_GT(d, c);
    slab.give(c);
    EXPECT_EQ(slab.worker.used, 4 * emulsion_slab_bytes_of(64));
    slab.give(d);
    EXPECT_EQ(slab.worker.used, 0u);
    EXPECT_EQ(slab.take(64), a);
}

TEST(AbiSlab, FreeOfNullIsNothing) {
    Slab slab(256);
    slab.give(nullptr);
    EXPECT_EQ(slab.worker.used, 0u);
}

// Random nested scopes with frees anywhere between last use and end of scope never exceed the
// nested sum.
void run_scope(Slab& slab, unsigned& seed, int depth, std::size_t above, std::size_t& bound) {
    const auto next = [&seed] { return seed = seed * 1664525u + 1013904223u; };
    for (int sibling = 0; sibling < 3; sibling++) {
        const std::size_t bytes = next() >> 16 & 0x1ff;
        char* block = slab.take(bytes);
        const std::size_t sum = above + emulsion_slab_bytes_of(bytes);
        bound = std::max(bound, sum);
        EXPECT_LE(slab.worker.used, sum);
        const bool early = (next() >> 20 & 1) != 0;
        if (early) slab.give(block);
        if (depth > 0) run_scope(slab, seed, depth - 1, sum, bound);
        if (!early) slab.give(block);
    }
}

TEST(AbiSlab, UseNeverExceedsTheSumOfEnclosingBlocks) {
    Slab slab(1 << 16);
    unsigned seed = 1;
    std::size_t bound = 0;
    for (int round = 0; round < 20; round++) run_scope(slab, seed, 4, 0, bound);
    EXPECT_EQ(slab.worker.used, 0u);
    EXPECT_GT(bound, 1000u);
}

TEST(AbiSlabDeathTest, SlabTooSmallEndsTheProgram) {
    Slab slab(emulsion_slab_bytes_of(64));
    EXPECT_EXIT(slab.take(65), ::testing::KilledBySignal(SIGABRT), "");
    EXPECT_EXIT(slab.take(SIZE_MAX - 10), ::testing::KilledBySignal(SIGABRT), "");
}

}  // namespace
}  // namespace emulsion::testing
