// Sizes beyond 32 bits are refused where they arise.
#include "compiler/graph/limits.h"

#include <gtest/gtest.h>

#include "compiler/graph/text.h"
#include "tests/support/message_of.h"

namespace emulsion::test {
namespace {

TEST(Limits, CountsWithoutOverflow) {
    EXPECT_EQ(bounded_elements(batched_type({64, 2048, 1024}), 15), int64_t{15} << 27);
    EXPECT_EQ(bounded_elements(batched_type({64, 2048, 1024}), 16), -1);
    EXPECT_EQ(bounded_elements(batched_type({1, 1, kMostElements}), 1), kMostElements);
    EXPECT_EQ(bounded_elements(batched_type({kMostElements, kMostElements, kMostElements}), 1), -1);
    EXPECT_EQ(bounded_elements(plain_type({kMostElements}), 1), -1);  // 16 lanes a block
    EXPECT_EQ(bounded_elements(plain_type({}), 1), 1);
}

TEST(Limits, ATensorOfOneSample) {
    EXPECT_EQ(message_of([] { check_size("x", batched_type({65536, 65536, 2})); }),
              "error[size]: 'x' of type f32[n,65536,65536,2] has more than 2147483647 elements\n"
              "  fix: use smaller layers or a smaller input");
}

TEST(Limits, ATensorOfABatch) {
    EXPECT_EQ(message_of([] { check_size("b2", batched_type({64, 2048, 2048}), 16); }),
              "error[size]: 'b2' of type f32[n,64,2048,2048] has 4294967296 elements in a batch of "
              "16, more than 2147483647\n"
              "  fix: use a smaller batch: at most 7 samples");
}

TEST(Limits, GraphsOfText) {
    EXPECT_EQ(message_of(
                  [] { parse_graph("graph g {\n  %x = input() : f32[n,2147483648]\n}", "g.emu"); }),
              "g.emu:2: error[syntax]: an extent of 2147483648 is out of range\n"
              "  fix: extents are 1 to 2147483647");
    const std::string text =
        "graph g {\n  %x = input() : f32[n,2147483647,2147483647,2147483647]\n}";
    EXPECT_EQ(message_of([&] { parse_graph(text, "g.emu"); }),
              "g.emu:2: error[size]: input 'x': 'x' of type "
              "f32[n,2147483647,2147483647,2147483647] has more than 2147483647 elements\n"
              "  fix: use smaller layers or a smaller input");
}

}  // namespace
}  // namespace emulsion::test
