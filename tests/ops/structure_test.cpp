// Ops that move values: flatten, unflatten, factor, unfactor, concatenate, slice.
#include <gtest/gtest.h>

#include "compiler/ops/concatenate.h"
#include "compiler/ops/flatten.h"
#include "compiler/ops/slice.h"
#include "compiler/ops/unfactor.h"
#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

using reference::Tensor;
using Values = std::vector<double>;

TensorType flat(int64_t features, std::vector<int64_t> factors) {
    TensorType type = batched_type({features});
    type.factors = std::move(factors);
    return type;
}

template <class T>
std::shared_ptr<T> with_shape(std::vector<int64_t> shape) {
    auto op = std::make_shared<T>();
    op->shape = std::move(shape);
    return op;
}

TEST(Flatten, IsTheSameMemory) {
    const Tensor x = random_operands({{batched_type({3, 2, 5})}, {}})[0];
    const Tensor y = run_op(Flatten(), {x}, 3)[0];
    EXPECT_EQ(y.type, flat(30, {3, 2, 5}));
    EXPECT_EQ(reference::pack(x), reference::pack(y));
    EXPECT_EQ(reference::pack(run_op(*with_shape<Unflatten>({3, 2, 5}), {y}, 3)[0]),
              reference::pack(x));
}

TEST(Flatten, NamesNoFactorsWhereTheOrdersAgree) {
    EXPECT_EQ(Flatten().infer(std::vector{batched_type({1, 28, 28})})[0], batched_type({784}));
    EXPECT_EQ(Flatten().infer(std::vector{batched_type({64, 1, 1})})[0], batched_type({64}));
    EXPECT_EQ(Flatten().infer(std::vector{batched_type({64, 7, 7})})[0], flat(3136, {64, 7, 7}));
    EXPECT_EQ(Flatten().infer(std::vector{flat(12, {3, 2, 2})})[0], flat(12, {3, 2, 2}));
}

TEST(Flatten, AgreesWithTheReferenceAndItsGradient) {
    for (const TensorType& type : {batched_type({3, 2, 5}), batched_type({1, 4, 4}),
                                   batched_type({7, 1, 1}), batched_type({6})}) {
        check_op(std::make_shared<Flatten>(), {{type}, {}});
    }
    check_op(with_shape<Unflatten>({3, 2, 5}), {{flat(30, {3, 2, 5})}, {}});
    check_op(with_shape<Unflatten>({1, 3, 5}), {{batched_type({15})}, {}});
}

TEST(Unfactor, AgreesWithTheReferenceAndItsGradient) {
    check_op(std::make_shared<Unfactor>(), {{flat(30, {3, 2, 5})}, {}});
    check_op(std::make_shared<Unfactor>(), {{batched_type({4})}, {}});
    auto factor = std::make_shared<Factor>();
    factor->factors = {3, 2, 5};
    check_op(factor, {{batched_type({30})}, {}});
    EXPECT_TRUE(is_inlinable(Unfactor(), {flat(30, {3, 2, 5})}));
    EXPECT_TRUE(is_inlinable(*factor, {batched_type({30})}));
}

TEST(Concatenate, AgreesWithTheReferenceAndItsGradient) {
    check_op(std::make_shared<Concatenate>(),
             {{batched_type({3, 2, 5}), batched_type({1, 2, 5}), batched_type({17, 2, 5})}, {}});
    check_op(std::make_shared<Concatenate>(), {{batched_type({3}), batched_type({2})}, {}});
    check_op(std::make_shared<Concatenate>(), {{batched_type({3, 2, 2})}, {}});
    EXPECT_TRUE(is_inlinable(Concatenate(), {batched_type({3, 2, 5}), batched_type({1, 2, 5})}));
}

TEST(Concatenate, KeepsAllChannelsInOrder) {  // case X5
    const Tensor a = reference::make_tensor(batched_type({6, 1, 1}), 1, {1, 2, 3, 4, 5, 6});
    const Tensor b = reference::make_tensor(batched_type({6, 1, 1}), 1, {11, 12, 13, 14, 15, 16});
    EXPECT_EQ(run_op(Concatenate(), {a, b}, 1)[0].values,
              (Values{1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16}));
}

TEST(Slice, AgreesWithTheReferenceAndItsGradient) {
    auto slice = std::make_shared<Slice>();
    slice->begin = 2;
    slice->count = 3;
    check_op(slice, {{batched_type({7, 2, 3})}, {}});
    check_op(slice, {{batched_type({5})}, {}});
    EXPECT_TRUE(is_inlinable(*slice, {batched_type({7, 2, 3})}));
    SliceBackward backward;
    backward.begin = 2;
    backward.channels = 7;
    check_lowering(backward, {{batched_type({3, 2, 3})}, {}});
    EXPECT_TRUE(is_inlinable(backward, {batched_type({3, 2, 3})}));
}

}  // namespace
}  // namespace emulsion::test
