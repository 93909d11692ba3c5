// Clipping and the penalty that stand between gradient and update, and the sum of squares that
// clipping by norm is made of.
#include "compiler/ops/clip.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "compiler/graph/text.h"
#include "compiler/ops/l1_penalty.h"
#include "compiler/ops/sum_squares.h"
#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

using reference::make_tensor;

const TensorType kScalar = plain_type({});
constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(Clip, AgreesWithTheReference) {
    for (const TensorType& type : {plain_type({17, 3, 2, 2}), plain_type({5}), kScalar}) {
        ClipValue value;
        value.limit = 0.75;
        check_lowering(value, {{type}, {}});
        L1Penalty penalty;
        penalty.factor = 0.25;
        check_lowering(penalty, {{type, type}, {}});
        check_lowering(SumSquares(), {{type}, {}});
        EXPECT_TRUE(is_inlinable(value, {type}));
        EXPECT_TRUE(is_inlinable(penalty, {type, type}));
    }
}

TEST(Clip, ValuesBeyondTheLimitAndAtIt) {
    const TensorType type = plain_type({6});
    ClipValue op;
    op.limit = 2;
    const auto result =
        run_op(op, {make_tensor(type, 1, {-3, -2, -1.5, 2, 2.5, kInfinity})}, 1)[0].values;
    expect_near(result, {-2, -2, -1.5, 2, 2, 2}, 0);
    EXPECT_TRUE(std::isnan(run_op(op, {make_tensor(kScalar, 1, {std::nan("")})}, 1)[0].values[0]));
}

TEST(Clip, FactorOfANorm) {
    ClipFactor op;
    op.norm = 2;
    const auto factor = [&](double squares) {
        return run_op(op, {make_tensor(kScalar, 1, {squares})}, 1)[0].values[0];
    };
    expect_near({factor(0), factor(1), factor(4), factor(16), factor(kInfinity)}, {1, 1, 1, 0.5, 0},
                0);
}

TEST(Clip, ThePenaltyOfZeroIsZero) {
    const TensorType type = plain_type({3});
    L1Penalty op;
    op.factor = 0.5;
    const auto result =
        run_op(op, {make_tensor(type, 1, {1, 1, 1}), make_tensor(type, 1, {-4, 0, 1e-30})}, 1);
    expect_near(result[0].values, {0.5, 1, 1.5}, 0);
}

TEST(Clip, Text) {
    EXPECT_EQ(print_attributes(ClipValue()), "{limit=1}");
    EXPECT_EQ(print_attributes(ClipFactor()), "{norm=1}");
    EXPECT_EQ(print_attributes(L1Penalty()), "{factor=0}");
    EXPECT_EQ(print_attributes(SumSquares()), "");
}

TEST(Clip, Refusals) {
    auto value = std::make_shared<ClipValue>();
    value->limit = 0;
    EXPECT_EQ(node_error(value, {kScalar}),
              "net.cpp:7: error[attribute]: clip_value 'it': the limit is 0, but must be above 0\n"
              "    operand 'a' f32[] from net.cpp:1\n"
              "  fix: choose a positive number");
    EXPECT_EQ(node_error(std::make_shared<ClipFactor>(), {plain_type({4})}),
              "net.cpp:7: error[shape]: clip_factor 'it': the sum of squares must be f32[], but is "
              "f32[4]\n"
              "    operand 'a' f32[4] from net.cpp:1\n"
              "  fix: give it a sum_squares");
    EXPECT_EQ(node_error(std::make_shared<SumSquares>(), {batched_type({4})}),
              "net.cpp:7: error[shape]: sum_squares 'it': the input is f32[n,4], one for each "
              "sample\n"
              "    operand 'a' f32[n,4] from net.cpp:1\n"
              "  fix: sum up gradients of parameters only");
    EXPECT_EQ(node_error(std::make_shared<L1Penalty>(), {plain_type({4}), plain_type({3})}),
              "net.cpp:7: error[shape]: l1_penalty 'it': the gradient is f32[3], but the result it "
              "belongs to is f32[4]\n"
              "    operand 'a' f32[4] from net.cpp:1\n"
              "    operand 'b' f32[3] from net.cpp:2\n"
              "  fix: give it the gradient of the result these attributes describe");
}

}  // namespace
}  // namespace emulsion::test
