// RMSProp in its forms against the reference; tests/autodiff/optimizers_test.cpp follows it over
// many steps.
#include "compiler/ops/rmsprop.h"

#include <gtest/gtest.h>

#include "compiler/graph/text.h"
#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

using reference::make_tensor;

const TensorType kOne = plain_type({1}), kScalar = plain_type({});

RmspropUpdate rmsprop(bool centered, double momentum, bool inside = false) {
    RmspropUpdate op;
    op.centered = centered;
    op.momentum = momentum;
    op.inside = inside;
    op.epsilon = 0.1;  // where squares and mean cancel, a small one would magnify the rounding
    op.weight_decay = inside ? 0.1 : 0;
    return op;
}

TEST(Rmsprop, AgreesWithTheReference) {
    for (const TensorType& type : {plain_type({17, 3, 2, 2}), kScalar}) {
        for (bool centered : {false, true}) {
            for (double momentum : {0.0, 0.75}) {
                const RmspropUpdate op = rmsprop(centered, momentum, type == kScalar);
                std::vector<TensorType> types = {type, type, type};
                if (centered) types.push_back(type);
                if (momentum != 0) types.push_back(type);
                types.push_back(kScalar);
                check_lowering(op, {types, {Fill::normal, Fill::normal, Fill::positive}}, 1e-5);
                EXPECT_TRUE(is_inlinable(op, types));
            }
        }
    }
}

TEST(Rmsprop, MomentumAsAnOperand) {
    RmspropUpdate op = rmsprop(true, 0);
    op.scalars = 2;
    const TensorType type = plain_type({17, 3});
    check_lowering(op,
                   {{type, type, type, type, type, kScalar, kScalar},
                    {Fill::normal, Fill::normal, Fill::positive}},
                   1e-5);
}

// Equal gradients have no deviation; epsilon is what is left, inside or outside of the root.
TEST(Rmsprop, CenteredOnEqualGradients) {
    for (bool inside : {false, true}) {
        RmspropUpdate op = rmsprop(true, 0, inside);
        op.weight_decay = 0;
        op.epsilon = 0.25;
        const auto one = [](double value) { return make_tensor(kOne, 1, {value}); };
        const auto result =
            run_op(op, {one(1), one(3), one(9), one(3), make_tensor(kScalar, 1, {0.01})}, 1);
        expect_near(result[0].values, {1 - 0.01 * 3 / (inside ? 0.5 : 0.25)}, 1e-6);
        expect_near(result[2].values, {3}, 1e-6);
    }
}

TEST(Rmsprop, Text) {
    EXPECT_EQ(print_attributes(RmspropUpdate()),
              "{rho=0.99, epsilon=1e-08, inside=false, centered=false, momentum=0, "
              "weight_decay=0}");
}

TEST(Rmsprop, RefusesStateThatIsNotThere) {
    auto op = std::make_shared<RmspropUpdate>();
    op->centered = true;
    EXPECT_EQ(node_error(op, {kScalar, kScalar, kScalar, kScalar}),
              "net.cpp:7: error[operands]: rmsprop_update 'it': it takes 5 operands, but 4 are "
              "given\n"
              "    operand 'a' f32[] from net.cpp:1\n"
              "    operand 'b' f32[] from net.cpp:2\n"
              "    operand 'c' f32[] from net.cpp:3\n"
              "    operand 'd' f32[] from net.cpp:4\n"
              "  fix: give it 5 operands");
}

}  // namespace
}  // namespace emulsion::test
