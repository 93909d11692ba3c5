// Updates that keep the old values: both ways of the flag, and shapes that are refused.
#include "compiler/ops/keep_old.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

using reference::make_tensor;
using Values = std::vector<double>;

const TensorType kTwo = plain_type({2}), kFlag = plain_type({}, ElementType::i32);

TEST(KeepOld, TakesTheNewValuesWhereTheFlagIsZero) {
    KeepOld op;
    op.tensors = 2;
    for (const double flag : {0.0, 1.0, -7.0}) {
        const auto result = run_op(op,
                                   {make_tensor(kFlag, 1, {flag}), make_tensor(kTwo, 1, {1, NAN}),
                                    make_tensor(kTwo, 1, {3, 4}), make_tensor(kTwo, 1, {5, 6}),
                                    make_tensor(kTwo, 1, {7, 8})},
                                   1);
        ASSERT_EQ(result.size(), 2u);
        if (flag == 0) {
            EXPECT_EQ(result[0].values[0], 1);
            EXPECT_TRUE(std::isnan(result[0].values[1]));
            EXPECT_EQ(result[1].values, (Values{3, 4}));
        } else {
            EXPECT_EQ(result[0].values, (Values{5, 6}));
            EXPECT_EQ(result[1].values, (Values{7, 8}));
        }
    }
}

TEST(KeepOld, AgreesWithTheReference) {
    for (const TensorType& type :
         {plain_type({17, 3, 2, 2}), plain_type({5, 3}), plain_type({17}), plain_type({})}) {
        for (int64_t tensors : {1, 3}) {
            KeepOld op;
            op.tensors = tensors;
            std::vector<TensorType> inputs(1 + 2 * static_cast<size_t>(tensors), type);
            inputs[0] = kFlag;
            for (uint64_t seed : {1, 2, 3}) {
                check_lowering(op, {.inputs = inputs, .fills = {}, .seed = seed});
            }
            EXPECT_TRUE(is_inlinable(op, inputs));
        }
    }
}

TEST(KeepOld, RefusesOtherShapes) {
    const auto op = std::make_shared<KeepOld>();
    EXPECT_NE(node_error(op, {kFlag, kTwo, plain_type({3})}), "");
    EXPECT_EQ(node_error(op, {plain_type({}), kTwo, kTwo}),
              "net.cpp:7: error[shape]: keep_old 'it': the flag must be i32[], but is f32[]\n"
              "    operand 'a' f32[] from net.cpp:1\n"
              "    operand 'b' f32[2] from net.cpp:2\n"
              "    operand 'c' f32[2] from net.cpp:3\n"
              "  fix: give it a not_finite");
    const auto none = std::make_shared<KeepOld>();
    none->tensors = 0;
    EXPECT_EQ(node_error(none, {kFlag}),
              "net.cpp:7: error[attribute]: keep_old 'it': tensors is 0\n"
              "    operand 'a' i32[] from net.cpp:1\n"
              "  fix: give it 1 to 16 tensors");
}

}  // namespace
}  // namespace emulsion::test
