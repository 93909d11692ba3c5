// Moments and dots of batch normalisation: values, and digits kept at a large mean.
#include "compiler/ops/moments.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

using reference::Tensor;

TEST(PartialMoments, AgreesWithTheReference) {
    for (const TensorType& type : {batched_type({5, 3, 4}), batched_type({5, 9, 2}),
                                   batched_type({17}), batched_type({3, 7})}) {
        check_lowering(PartialMoments(), {{type}, {}});
    }
}

TEST(MergeMoments, AgreesWithTheReference) {
    MergeMoments op;
    for (int64_t height : {1, 4, 7}) {
        op.width = 3, op.height = height;
        for (int64_t channels : {1, 5, 16, 17}) {
            const TensorType strips = strip_type(batched_type({channels, height, 3}));
            check_lowering(
                op, {{strips, strips, strips}, {Fill::normal, Fill::normal, Fill::positive}, 5},
                1e-5);
        }
    }
}

TEST(PartialDots, AgreesWithTheReference) {
    for (const TensorType& type :
         {batched_type({5, 3, 4}), batched_type({5, 9, 2}), batched_type({17})}) {
        check_lowering(PartialDots(), {{type, type, plain_type({type.shape[0]})}, {}});
    }
}

TEST(Moments, KeepTheirDigitsAtALargeMean) {  // mean 3000, deviation 1; the first cell of each
                                              // sample is far off
    Tensor x = reference::make_tensor(batched_type({2, 16, 16}), 4);
    std::mt19937_64 generator(1);
    std::normal_distribution<double> normal(3000, 1);
    for (size_t i = 0; i < x.values.size(); i++)
        x.values[i] = i % 256 == 0 ? 1000 : normal(generator);
    x = reference::rounded(x);
    MergeMoments merge;
    merge.width = merge.height = 16;
    const auto parts = run_op(PartialMoments(), {x}, 4);
    const auto moments = run_op(merge, parts, 4);
    const auto expected =
        reference::evaluate(merge, reference::evaluate(PartialMoments(), {x}, 4), 4);
    for (size_t c = 0; c < 2; c++) {
        EXPECT_NEAR(moments[0].values[c], expected[0].values[c], 1e-3);
        EXPECT_NEAR(moments[1].values[c] / expected[1].values[c], 1, 1e-5);
    }
}

TEST(MergeMoments, RefusesStripsOfAnotherMap) {
    auto op = std::make_shared<MergeMoments>();
    op->height = 9;
    const std::vector<TensorType> operands(3, batched_type({4, 2, 1}));
    EXPECT_EQ(node_error(op, operands),
              "net.cpp:7: error[shape]: merge_moments 'it': a map of 9x1 has strips f32[n,4,3,1], "
              "but the pivot is "
              "f32[n,4,2,1]\n"
              "    operand 'a' f32[n,4,2,1] from net.cpp:1\n"
              "    operand 'b' f32[n,4,2,1] from net.cpp:2\n"
              "    operand 'c' f32[n,4,2,1] from net.cpp:3\n"
              "  fix: pass the results of partial_moments, and width and height of its map");
    op->height = 0;
    EXPECT_NE(node_error(op, operands).find("the map is 0x1"), std::string::npos);
}

}  // namespace
}  // namespace emulsion::test
