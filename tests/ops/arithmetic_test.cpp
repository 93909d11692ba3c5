// add, subtract, multiply, negate, scale: values, broadcasting, gradients.
#include "compiler/ops/arithmetic.h"

#include <gtest/gtest.h>

#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

template <class T>
void check_binary() {
    const TensorType map = batched_type({5, 3, 4}), features = batched_type({17}),
                     weights = plain_type({17, 3, 2, 2});
    for (const TensorType& type :
         {map, features, batched_type({}), plain_type({}), plain_type({5}), weights}) {
        check_op(std::make_shared<T>(), {{type, type}, {}});
    }
    for (const TensorType& small :
         {plain_type({5}), batched_type({5}), batched_type({}), plain_type({})}) {
        check_op(std::make_shared<T>(), {{map, small}, {}});
        check_op(std::make_shared<T>(), {{small, map}, {}});
    }
    check_op(std::make_shared<T>(), {{weights, plain_type({17})}, {}});
    EXPECT_TRUE(is_inlinable(T(), {map, plain_type({5})}));
}

TEST(Add, AgreesWithTheReferenceAndItsGradient) { check_binary<Add>(); }
TEST(Subtract, AgreesWithTheReferenceAndItsGradient) { check_binary<Subtract>(); }
TEST(Multiply, AgreesWithTheReferenceAndItsGradient) { check_binary<Multiply>(); }

TEST(Negate, AgreesWithTheReferenceAndItsGradient) {
    check_op(std::make_shared<Negate>(), {{batched_type({5, 3, 4})}, {}});
}

TEST(Scale, AgreesWithTheReferenceAndItsGradient) {
    check_op(std::make_shared<Scale>(-2.5), {{batched_type({5, 3, 4})}, {}});
    check_op(std::make_shared<Scale>(0.125), {{plain_type({3, 5})}, {}});
}

TEST(Add, RefusesShapesThatDoNotBroadcast) {
    EXPECT_EQ(node_error(std::make_shared<Add>(), {batched_type({3, 4, 4}), batched_type({5})}),
              "net.cpp:7: error[shape]: add 'it': f32[n,3,4,4] and f32[n,5] cannot be combined\n"
              "    operand 'a' f32[n,3,4,4] from net.cpp:1\n"
              "    operand 'b' f32[n,5] from net.cpp:2\n"
              "  fix: give the operands one shape; the smaller one may also be a scalar or have "
              "one value per channel");
    TensorType flat = batched_type({12});
    flat.factors = {3, 2, 2};
    EXPECT_NE(node_error(std::make_shared<Add>(), {flat, batched_type({12})}), "");
    EXPECT_NE(node_error(std::make_shared<Add>(), {flat, plain_type({12})}), "");
    EXPECT_EQ(node_error(std::make_shared<Add>(), {flat, flat}), "");
}

TEST(Add, RefusesIntegers) {
    EXPECT_EQ(
        node_error(std::make_shared<Add>(), {batched_type({}), batched_type({}, ElementType::i32)}),
        "net.cpp:7: error[element]: add 'it': the operand must be f32, but is i32[n]\n"
        "    operand 'a' f32[n] from net.cpp:1\n"
        "    operand 'b' i32[n] from net.cpp:2\n"
        "  fix: give it f32 values as operand");
}

}  // namespace
}  // namespace emulsion::test
