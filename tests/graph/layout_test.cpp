// Extents and strides in memory.
#include "compiler/graph/layout.h"

#include <gtest/gtest.h>

namespace emulsion::test {
namespace {

using Pairs = std::vector<std::pair<int64_t, int64_t>>;

Pairs pairs_of(const TensorType& type, int64_t samples, int64_t pitch = 0) {
    Pairs pairs;
    for (const auto& [extent, stride] : memory_dimensions(type, samples, pitch))
        pairs.emplace_back(extent, stride);
    return pairs;
}

TEST(Layout, ChannelsOfSamplesAreInnermost) {
    EXPECT_EQ(pairs_of(batched_type({3, 5, 7}), 4), (Pairs{{3, 1}, {7, 3}, {5, 21}, {4, 105}}));
    EXPECT_EQ(pairs_of(batched_type({}), 4), (Pairs{{4, 1}}));
}

TEST(Layout, ChannelsAmongOthersKeepTheStridesOfTheirWhole) {
    EXPECT_EQ(pairs_of(batched_type({3, 5, 7}), 4, 10),
              (Pairs{{3, 1}, {7, 10}, {5, 70}, {4, 350}}));
    EXPECT_EQ(pairs_of(batched_type({3}), 4, 10), (Pairs{{3, 1}, {4, 10}}));
    EXPECT_EQ(span_bytes(batched_type({3, 5, 7}), 4, 10), 4 * (139 * 10 + 3));
    EXPECT_EQ(span_bytes(batched_type({3, 5, 7}), 4, 0), memory_bytes(batched_type({3, 5, 7}), 4));
}

TEST(Layout, WeightsLieInBlocksOf16) {
    EXPECT_EQ(pairs_of(plain_type({20, 3, 5, 7}), 4),
              (Pairs{{16, 1}, {3, 16}, {7, 48}, {5, 336}, {2, 1680}}));
    EXPECT_EQ(pairs_of(plain_type({20}), 4), (Pairs{{32, 1}}));
    EXPECT_EQ(pairs_of(plain_type({}), 4), Pairs());
}

}  // namespace
}  // namespace emulsion::test
