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

// Operands with an extent of 1 on some axes are repeated along these, on both sides, for any rank.
TEST(Multiply, RepeatsExtentsOfOne) {
    const auto check = [](const TensorType& a, const TensorType& b, const TensorType& result) {
        SCOPED_TRACE(to_string(a) + " * " + to_string(b));
        const auto op = std::make_shared<Multiply>();
        EXPECT_EQ(op->infer(std::vector{a, b})[0], result);
        EXPECT_EQ(op->infer(std::vector{b, a})[0], result);
        check_op(op, {{a, b}, {}});
        check_op(op, {{b, a}, {}});
        EXPECT_TRUE(is_inlinable(*op, {a, b}));
    };
    const TensorType map = batched_type({5, 3, 4});
    for (const std::vector<int64_t>& small : std::vector<std::vector<int64_t>>{
             {1, 3, 4}, {5, 1, 1}, {5, 3, 1}, {5, 1, 4}, {1, 3, 1}, {1, 1, 1}}) {
        check(map, batched_type(small), map);
    }
    check(batched_type({5, 1, 1}), batched_type({1, 3, 4}), map);
    check(batched_type({17, 1, 4}), batched_type({1, 3, 1}), batched_type({17, 3, 4}));
    check(batched_type({7}), batched_type({1}), batched_type({7}));
    check(batched_type({7, 5}), batched_type({1, 5}), batched_type({7, 5}));
    check(batched_type({3, 2, 4, 5}), batched_type({3, 1, 4, 1}), batched_type({3, 2, 4, 5}));
    check(batched_type({2, 2, 3, 2, 3}), batched_type({1, 2, 1, 2, 1}),
          batched_type({2, 2, 3, 2, 3}));
    check(batched_type({3, 2, 4, 5}), plain_type({3}), batched_type({3, 2, 4, 5}));
    check(plain_type({17, 3, 2, 2}), plain_type({17, 1, 1, 1}), plain_type({17, 3, 2, 2}));
    check(plain_type({17, 3, 2, 2}), plain_type({1, 3, 1, 2}), plain_type({17, 3, 2, 2}));
    check(plain_type({5, 3}), plain_type({1, 3}), plain_type({5, 3}));
    check(plain_type({5}), plain_type({1}), plain_type({5}));
    check(plain_type({18, 2, 3, 2, 2}), plain_type({1, 2, 3, 1, 2}), plain_type({18, 2, 3, 2, 2}));
}

TEST(Multiply, RepeatsOverFlattenedFeatures) {
    TensorType flat = batched_type({12}), weights = plain_type({17, 12});
    flat.factors = weights.factors = {3, 2, 2};
    check_op(std::make_shared<Multiply>(), {{flat, batched_type({1})}, {}});
    check_op(std::make_shared<Multiply>(), {{batched_type({1}), flat}, {}});
    check_op(std::make_shared<Multiply>(), {{flat, batched_type({})}, {}});
    check_op(std::make_shared<Multiply>(), {{weights, plain_type({17})}, {}});
    check_op(std::make_shared<Multiply>(), {{weights, plain_type({17, 1})}, {}});
    check_op(std::make_shared<Multiply>(), {{plain_type({1, 1}), weights}, {}});
    TensorType row = weights;
    row.shape[0] = 1;
    check_op(std::make_shared<Multiply>(), {{weights, row}, {}});
}

TEST(Multiply, RefusesExtentsThatAreNeitherEqualNorOne) {
    EXPECT_EQ(node_error(std::make_shared<Multiply>(),
                         {batched_type({5, 1, 1}), batched_type({3, 4, 4})}),
              "net.cpp:7: error[shape]: multiply 'it': f32[n,5,1,1] and f32[n,3,4,4] cannot be "
              "combined\n"
              "    operand 'a' f32[n,5,1,1] from net.cpp:1\n"
              "    operand 'b' f32[n,3,4,4] from net.cpp:2\n"
              "  fix: give the operands one shape; an axis of the smaller one may also have "
              "extent 1, and it may be a scalar or have one value per channel");
    for (const auto& [a, b] : std::vector<std::pair<TensorType, TensorType>>{
             {batched_type({5, 3, 4}), batched_type({5, 3, 2})},
             {batched_type({5, 3, 4}), plain_type({5, 3, 4})},
             {batched_type({5, 3, 4}), plain_type({1})},
             {batched_type({5, 3, 4}), batched_type({5, 3})},
             {plain_type({5, 3}), batched_type({5})}}) {
        EXPECT_NE(node_error(std::make_shared<Multiply>(), {a, b}), "") << to_string(b);
        EXPECT_NE(node_error(std::make_shared<Multiply>(), {b, a}), "") << to_string(b);
    }
}

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
              "  fix: give the operands one shape; an axis of the smaller one may also have "
              "extent 1, and it may be a scalar or have one value per channel");
    TensorType flat = batched_type({12});
    flat.factors = {3, 2, 2};
    EXPECT_NE(node_error(std::make_shared<Add>(), {flat, batched_type({12})}), "");
    EXPECT_NE(node_error(std::make_shared<Add>(), {flat, plain_type({12})}), "");
    EXPECT_EQ(node_error(std::make_shared<Add>(), {flat, flat}), "");
    // 12 features are no 12 channels.
    EXPECT_NE(node_error(std::make_shared<Add>(), {flat, batched_type({12, 2, 2})}), "");
    EXPECT_EQ(node_error(std::make_shared<Add>(), {batched_type({12}), batched_type({12, 2, 2})}),
              "");
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
