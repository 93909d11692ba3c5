// Nodes without operands: input, parameter, state, scalar, not_finite.
#include "compiler/ops/sources.h"

#include <gtest/gtest.h>

#include "compiler/graph/text.h"
#include "tests/support/check_op.h"

namespace emulsion::test {
namespace {

TEST(Sources, HaveTheTypeThatStandsBehindThem) {
    const TensorType map = batched_type({3, 4, 5}), filter = plain_type({8, 3, 3, 3});
    EXPECT_EQ(Input(map).infer({}), std::vector{map});
    EXPECT_EQ(Parameter(filter).infer({}), std::vector{filter});
    EXPECT_EQ(State(plain_type({8})).infer({}), std::vector{plain_type({8})});
    EXPECT_EQ(Scalar(plain_type({})).infer({}), std::vector{plain_type({})});
    EXPECT_EQ(NotFinite().infer({}), std::vector{plain_type({}, ElementType::i32)});
    EXPECT_EQ(Constant(plain_type({2})).infer({}), std::vector{plain_type({2})});
    for (std::string_view kind : {"input", "parameter", "state", "scalar", "not_finite"})
        EXPECT_EQ(op_from_text(kind)->op_class(), OpClass::source) << kind;
}

TEST(Sources, TakeNoOperands) {
    EXPECT_EQ(node_error(std::make_shared<Input>(batched_type({3})), {batched_type({3})}),
              "net.cpp:7: error[operands]: input 'it': it takes 0 operands, but 1 is given\n"
              "    operand 'a' f32[n,3] from net.cpp:1\n"
              "  fix: give it 0 operands");
}

}  // namespace
}  // namespace emulsion::test
