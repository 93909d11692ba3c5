// AdaGrad against the reference; tests/autodiff/optimizers_test.cpp follows it over many steps.
#include "compiler/ops/adagrad.h"

#include <gtest/gtest.h>

#include "compiler/graph/text.h"
#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

const TensorType kScalar = plain_type({});

TEST(Adagrad, AgreesWithTheReference) {
    for (const TensorType& type : {plain_type({17, 3, 2, 2}), plain_type({5, 3}), kScalar}) {
        AdagradUpdate op;
        op.weight_decay = type == kScalar ? 0 : 0.1;
        check_lowering(op,
                       {{type, type, type, kScalar}, {Fill::normal, Fill::normal, Fill::positive}});
        EXPECT_TRUE(is_inlinable(op, {type, type, type, kScalar}));
    }
}

TEST(Adagrad, Text) {
    EXPECT_EQ(print_attributes(AdagradUpdate()), "{epsilon=1e-10, weight_decay=0}");
}

TEST(Adagrad, RefusesSumsOfAnotherShape) {
    EXPECT_EQ(
        node_error(std::make_shared<AdagradUpdate>(),
                   {plain_type({4}), plain_type({4}), plain_type({5}), kScalar}),
        "net.cpp:7: error[shape]: adagrad_update 'it': the gradient is f32[5], but the result "
        "it belongs to is f32[4]\n"
        "    operand 'a' f32[4] from net.cpp:1\n"
        "    operand 'b' f32[4] from net.cpp:2\n"
        "    operand 'c' f32[5] from net.cpp:3\n"
        "    operand 'd' f32[] from net.cpp:4\n"
        "  fix: give it the gradient of the result these attributes describe");
}

TEST(Adagrad, RefusesANegativeEpsilon) {
    auto op = std::make_shared<AdagradUpdate>();
    op->epsilon = -1;
    EXPECT_EQ(node_error(op, {kScalar, kScalar, kScalar, kScalar}),
              "net.cpp:7: error[attribute]: adagrad_update 'it': the epsilon is -1, but must be 0 "
              "or more\n"
              "    operand 'a' f32[] from net.cpp:1\n"
              "    operand 'b' f32[] from net.cpp:2\n"
              "    operand 'c' f32[] from net.cpp:3\n"
              "    operand 'd' f32[] from net.cpp:4\n"
              "  fix: choose a small number, such as 1e-5");
}

}  // namespace
}  // namespace emulsion::test
