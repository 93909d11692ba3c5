// Weight decay by an operand against the reference.
#include "compiler/ops/weight_decay.h"

#include <gtest/gtest.h>

#include "compiler/graph/text.h"
#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

const TensorType kScalar = plain_type({});

TEST(WeightDecay, AgreesWithTheReference) {
    for (const TensorType& type : {plain_type({17, 3, 2, 2}), plain_type({5}), kScalar}) {
        check_lowering(L2Penalty(), {{type, type, kScalar}, {}});
        check_lowering(DecayWeights(), {{type, type, kScalar, kScalar}, {}});
        EXPECT_TRUE(is_inlinable(L2Penalty(), {type, type, kScalar}));
        EXPECT_TRUE(is_inlinable(DecayWeights(), {type, type, kScalar, kScalar}));
    }
}

TEST(WeightDecay, TextAndRefusals) {
    EXPECT_EQ(print_attributes(L2Penalty()), "");
    EXPECT_EQ(print_attributes(DecayWeights()), "");
    const TensorType type = plain_type({4});
    EXPECT_EQ(node_error(std::make_shared<L2Penalty>(), {type, type, type}),
              "net.cpp:7: error[shape]: l2_penalty 'it': a rate must be f32[], but is f32[4]\n"
              "    operand 'a' f32[4] from net.cpp:1\n"
              "    operand 'b' f32[4] from net.cpp:2\n"
              "    operand 'c' f32[4] from net.cpp:3\n"
              "  fix: give it a scalar");
    EXPECT_EQ(node_error(std::make_shared<DecayWeights>(), {type, type, kScalar}),
              "net.cpp:7: error[operands]: decay_weights 'it': it takes 4 operands, but 3 are "
              "given\n"
              "    operand 'a' f32[4] from net.cpp:1\n"
              "    operand 'b' f32[4] from net.cpp:2\n"
              "    operand 'c' f32[] from net.cpp:3\n"
              "  fix: give it 4 operands");
}

}  // namespace
}  // namespace emulsion::test
