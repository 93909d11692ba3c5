// Levenberg-Marquardt's update against the reference; tests/autodiff/curvature_test.cpp has what it
// divides by, and whole steps.
#include "compiler/ops/levenberg_marquardt.h"

#include <gtest/gtest.h>

#include "compiler/graph/text.h"
#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

const TensorType kScalar = plain_type({});

TEST(LevenbergMarquardtUpdate, AgreesWithTheReference) {
    for (const TensorType& type : {plain_type({17, 3, 2, 2}), plain_type({5, 3}), kScalar}) {
        LevenbergMarquardtUpdate op;
        op.weight_decay = type == kScalar ? 0 : 0.1;
        check_lowering(op, {{type, type, type, kScalar, kScalar},
                            {Fill::normal, Fill::normal, Fill::positive, Fill::positive}});
        EXPECT_TRUE(is_inlinable(op, {type, type, type, kScalar, kScalar}));
    }
}

TEST(LevenbergMarquardtUpdate, Text) {
    EXPECT_EQ(print_attributes(LevenbergMarquardtUpdate()), "{damping=0.02, weight_decay=0}");
}

TEST(LevenbergMarquardtUpdate, RefusesACurvatureOfAnotherShape) {
    EXPECT_EQ(node_error(std::make_shared<LevenbergMarquardtUpdate>(),
                         {plain_type({4}), plain_type({4}), plain_type({5}), kScalar, kScalar}),
              "net.cpp:7: error[shape]: levenberg_marquardt_update 'it': the gradient is f32[5], "
              "but the result it belongs to is f32[4]\n"
              "    operand 'a' f32[4] from net.cpp:1\n"
              "    operand 'b' f32[4] from net.cpp:2\n"
              "    operand 'c' f32[5] from net.cpp:3\n"
              "    operand 'd' f32[] from net.cpp:4\n"
              "    operand 'e' f32[] from net.cpp:5\n"
              "  fix: give it the gradient of the result these attributes describe");
}

}  // namespace
}  // namespace emulsion::test
