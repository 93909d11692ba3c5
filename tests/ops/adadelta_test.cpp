// AdaDelta against the reference; tests/autodiff/optimizers_test.cpp follows it over many steps.
#include "compiler/ops/adadelta.h"

#include <gtest/gtest.h>

#include "compiler/graph/text.h"
#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

const TensorType kScalar = plain_type({});

TEST(Adadelta, AgreesWithTheReference) {
    for (const TensorType& type : {plain_type({17, 3, 2, 2}), plain_type({5, 3}), kScalar}) {
        AdadeltaUpdate op;
        op.rho = 0.75;
        op.weight_decay = type == kScalar ? 0 : 0.1;
        check_lowering(op, {{type, type, type, type, kScalar},
                            {Fill::normal, Fill::normal, Fill::positive, Fill::positive}});
        EXPECT_TRUE(is_inlinable(op, {type, type, type, type, kScalar}));
    }
}

TEST(Adadelta, Text) {
    EXPECT_EQ(print_attributes(AdadeltaUpdate()), "{rho=0.9, epsilon=1e-06, weight_decay=0}");
}

TEST(Adadelta, RefusesARateOfManyNumbers) {
    const TensorType type = plain_type({4});
    EXPECT_EQ(node_error(std::make_shared<AdadeltaUpdate>(), {type, type, type, type, type}),
              "net.cpp:7: error[shape]: adadelta_update 'it': a rate must be f32[], but is f32[4]\n"
              "    operand 'a' f32[4] from net.cpp:1\n"
              "    operand 'b' f32[4] from net.cpp:2\n"
              "    operand 'c' f32[4] from net.cpp:3\n"
              "    operand 'd' f32[4] from net.cpp:4\n"
              "    operand 'e' f32[4] from net.cpp:5\n"
              "  fix: give it a scalar");
}

}  // namespace
}  // namespace emulsion::test
