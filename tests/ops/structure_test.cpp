// Ops that move values: flatten, unflatten, view, factor, unfactor, concatenate, slice, crop,
// transpose, channel_shuffle, depth_to_space, space_to_depth, flip; and parameters of every
// position, add_map.
#include <gtest/gtest.h>

#include "compiler/ops/add_map.h"
#include "compiler/ops/concatenate.h"
#include "compiler/ops/crop.h"
#include "compiler/ops/depth_to_space.h"
#include "compiler/ops/flatten.h"
#include "compiler/ops/slice.h"
#include "compiler/ops/transpose.h"
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

TEST(Flatten, OfOtherRanks) {
    EXPECT_EQ(Flatten().infer(std::vector{batched_type({3, 5})})[0], flat(15, {3, 1, 5}));
    EXPECT_EQ(Flatten().infer(std::vector{batched_type({3, 2, 4, 5})})[0], flat(120, {3, 8, 5}));
    for (const TensorType& type : {batched_type({3, 5}), batched_type({3, 2, 2, 3})}) {
        check_op(std::make_shared<Flatten>(), {{type}, {}, 2});
        const Tensor x = random_operands({{type}, {}})[0];
        const Tensor y = run_op(Flatten(), {x}, 3)[0];
        EXPECT_EQ(reference::pack(x), reference::pack(y));
        check_op(with_shape<Unflatten>(type.shape), {{y.type}, {}, 2});
    }
}

TEST(View, IsTheSameMemory) {
    const Tensor x = random_operands({{batched_type({3, 4, 6})}, {}})[0];
    const std::vector<std::vector<int64_t>> shapes = {{3, 24}, {3, 2, 2, 6}, {3, 8, 3}, {3, 1, 24}};
    for (const std::vector<int64_t>& shape : shapes) {
        check_op(with_shape<View>(shape), {{x.type}, {}, 2});
        EXPECT_EQ(reference::pack(run_op(*with_shape<View>(shape), {x}, 3)[0]), reference::pack(x));
    }
    EXPECT_EQ(
        node_error(with_shape<View>({6, 12}), {x.type}),
        R"(net.cpp:7: error[shape]: view 'it': [6,12] is no view of f32[n,3,4,6]: it must have the same channels, and as many positions
    operand 'a' f32[n,3,4,6] from net.cpp:1
  fix: give it two axes or more, or flatten the map first)");
}

TEST(Unfactor, AgreesWithTheReferenceAndItsGradient) {
    check_op(std::make_shared<Unfactor>(), {{flat(30, {3, 2, 5})}, {}});
    check_op(std::make_shared<Unfactor>(), {{batched_type({4})}, {}});
    auto factor = std::make_shared<Factor>();
    factor->factors = {3, 2, 5};
    check_op(factor, {{batched_type({30})}, {}});
    for (const std::vector<int64_t>& other :
         std::vector<std::vector<int64_t>>{{3, 2, 5}, {6, 1, 5}, {5, 3, 2}})
        check_op(factor, {{flat(30, other)}, {}});
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

TEST(Concatenate, AlongOtherAxes) {
    auto op = std::make_shared<Concatenate>();
    op->axis = 1;
    check_op(op, {{batched_type({3, 2, 5}), batched_type({3, 1, 5}), batched_type({3, 4, 5})}, {}});
    op->axis = 2;
    check_op(op, {{batched_type({17, 2, 1}), batched_type({17, 2, 3})}, {}, 2});
    EXPECT_FALSE(op->joins_channels());
    EXPECT_EQ(
        node_error(op, {batched_type({3, 2, 5}), batched_type({3, 4, 5})}),
        R"(net.cpp:7: error[shape]: concatenate 'it': operand 2 is f32[n,3,4,5], but operand 1 is f32[n,3,2,5]: they may differ in width only
    operand 'a' f32[n,3,2,5] from net.cpp:1
    operand 'b' f32[n,3,4,5] from net.cpp:2
  fix: bring all operands to the same extents of all other axes first)");
    EXPECT_EQ(
        node_error(op, {batched_type({3}), batched_type({3})}),
        R"(net.cpp:7: error[attribute]: concatenate 'it': the axis is 2, but f32[n,3] has axes 0 to 0 beside its samples
    operand 'a' f32[n,3] from net.cpp:1
    operand 'b' f32[n,3] from net.cpp:2
  fix: choose one of them; 0 is the channels)");
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

std::shared_ptr<Crop> crop(std::vector<int64_t> begin, std::vector<int64_t> count,
                           std::vector<int64_t> step) {
    auto op = std::make_shared<Crop>();
    op->begin = std::move(begin);
    op->count = std::move(count);
    op->step = std::move(step);
    return op;
}

TEST(Crop, AgreesWithTheReferenceAndItsGradient) {
    check_op(crop({0, 1, 2}, {3, 2, 3}, {1, 1, 1}), {{batched_type({3, 4, 5})}, {}, 2});
    check_op(crop({1, 0, 1}, {9, 2, 2}, {2, 3, 2}), {{batched_type({19, 4, 5})}, {}, 2});
    check_op(crop({0, 0}, {3, 3}, {1, 2}), {{batched_type({3, 5})}, {}, 2});
    CropBackward backward;
    backward.begin = {1, 0, 1};
    backward.step = {2, 1, 2};
    backward.input = {6, 3, 5};
    check_op(std::make_shared<CropBackward>(backward), {{batched_type({2, 3, 2})}, {}, 2});
    EXPECT_TRUE(is_inlinable(*crop({0, 1, 2}, {3, 2, 3}, {1, 1, 1}), {batched_type({3, 4, 5})}));
    EXPECT_TRUE(is_inlinable(backward, {batched_type({2, 3, 2})}));
}

TEST(Crop, RefusesCellsThatAreNotThere) {
    EXPECT_EQ(
        node_error(crop({0, 1, 0}, {3, 2, 5}, {1, 3, 1}), {batched_type({3, 4, 5})}),
        R"(net.cpp:7: error[shape]: crop 'it': cells 1 to 4 along the height are asked for, but there are 4
    operand 'a' f32[n,3,4,5] from net.cpp:1
  fix: choose a range within 0 to 3)");
    EXPECT_EQ(node_error(crop({0, 1, 0}, {3, 0, 5}, {1, 1, 1}), {batched_type({3, 4, 5})}),
              R"(net.cpp:7: error[attribute]: crop 'it': count is 0, but must be 1 to 2147221504
    operand 'a' f32[n,3,4,5] from net.cpp:1
  fix: give count numbers from 1 to 2147221504)");
}

std::shared_ptr<Transpose> transpose(std::vector<int64_t> order) {
    auto op = std::make_shared<Transpose>();
    op->order = std::move(order);
    return op;
}

TEST(Transpose, AgreesWithTheReferenceAndItsGradient) {
    EXPECT_EQ(transpose({2, 0, 1})->infer(std::vector{batched_type({3, 4, 5})})[0],
              batched_type({5, 3, 4}));
    const std::vector<std::vector<int64_t>> orders = {{0, 2, 1}, {1, 2, 0}, {2, 1, 0}, {0, 1, 2}};
    for (const std::vector<int64_t>& order : orders)
        check_op(transpose(order), {{batched_type({17, 2, 3})}, {}, 2});
    check_op(transpose({1, 0}), {{batched_type({3, 5})}, {}, 2});
    check_op(transpose({3, 0, 2, 1}), {{batched_type({2, 3, 1, 4})}, {}, 2});
    EXPECT_TRUE(is_inlinable(*transpose({0, 2, 1}), {batched_type({3, 4, 5})}));
    EXPECT_EQ(
        node_error(transpose({0, 2, 2}), {batched_type({3, 4, 5})}),
        R"(net.cpp:7: error[attribute]: transpose 'it': the order is [0,2,2], but f32[n,3,4,5] has axes 0 to 2 beside its samples
    operand 'a' f32[n,3,4,5] from net.cpp:1
  fix: name each axis once; 0 is the channels)");
}

template <class T>
std::shared_ptr<T> with_block(std::vector<int64_t> block) {
    auto op = std::make_shared<T>();
    op->block = std::move(block);
    return op;
}

TEST(DepthToSpace, AgreesWithTheReferenceAndItsGradient) {
    check_op(with_block<DepthToSpace>({2, 3}), {{batched_type({18, 2, 5})}, {}, 2});
    check_op(with_block<DepthToSpace>({1, 2}), {{batched_type({34, 3, 1})}, {}, 1});
    check_op(with_block<DepthToSpace>({3}), {{batched_type({6, 4})}, {}, 2});
    check_op(with_block<DepthToSpace>({2, 1, 3}), {{batched_type({12, 2, 3, 1})}, {}, 2});
    check_op(with_block<SpaceToDepth>({2, 3}), {{batched_type({3, 4, 6})}, {}, 2});
    check_op(with_block<SpaceToDepth>({5}), {{batched_type({17, 5})}, {}, 2});
    check_op(with_block<SpaceToDepth>({2, 1, 3}), {{batched_type({2, 2, 1, 3})}, {}, 1});
}

TEST(DepthToSpace, CellsAreChannelsInOrder) {
    const Tensor x = reference::make_tensor(batched_type({6, 1, 2}), 1,
                                            {0, 10, 1, 11, 2, 12, 3, 13, 4, 14, 5, 15});
    const Tensor y = run_op(*with_block<DepthToSpace>({2, 3}), {x}, 1)[0];
    EXPECT_EQ(y.values, (Values{0, 1, 2, 10, 11, 12, 3, 4, 5, 13, 14, 15}));
    EXPECT_EQ(run_op(*with_block<SpaceToDepth>({2, 3}), {y}, 1)[0], x);
}

TEST(DepthToSpace, Refusals) {
    const TensorType map = batched_type({4, 3, 5});
    EXPECT_EQ(
        node_error(with_block<DepthToSpace>({3, 2}), {map}),
        R"(net.cpp:7: error[channels]: depth_to_space 'it': the block 3x2 does not divide the 4 channels of f32[n,4,3,5]
    operand 'a' f32[n,4,3,5] from net.cpp:1
  fix: choose a block whose number of cells divides the channels)");
    EXPECT_EQ(
        node_error(with_block<DepthToSpace>({2}), {map}),
        R"(net.cpp:7: error[attribute]: depth_to_space 'it': block must be a height and a width
    operand 'a' f32[n,4,3,5] from net.cpp:1
  fix: give block=[height,width])");
    EXPECT_EQ(
        node_error(with_block<SpaceToDepth>({3, 2}), {map}),
        R"(net.cpp:7: error[shape]: space_to_depth 'it': the block 3x2 does not divide the width 5 of f32[n,4,3,5]
    operand 'a' f32[n,4,3,5] from net.cpp:1
  fix: choose a block that divides the map, or pad or crop the map)");
    EXPECT_NE(node_error(with_block<SpaceToDepth>({2}), {batched_type({4})}).find("error[rank]"),
              std::string::npos);
}

TEST(ChannelShuffle, AgreesWithTheReferenceAndItsGradient) {
    auto op = std::make_shared<ChannelShuffle>();
    op->groups = 3;
    check_op(op, {{batched_type({6, 2, 3})}, {}, 2});
    check_op(op, {{batched_type({21})}, {}, 2});
    const Tensor x = reference::make_tensor(batched_type({6}), 1, {1, 2, 3, 4, 5, 6});
    EXPECT_EQ(run_op(*op, {x}, 1)[0].values, (Values{1, 3, 5, 2, 4, 6}));
    EXPECT_TRUE(is_inlinable(*op, {batched_type({6, 2, 3})}));
    EXPECT_EQ(
        node_error(op, {batched_type({4, 2, 2})}),
        R"(net.cpp:7: error[groups]: channel_shuffle 'it': 4 channels cannot be cut into 3 equal groups
    operand 'a' f32[n,4,2,2] from net.cpp:1
  fix: choose a number of groups that divides the channels)");
}

TEST(Flip, AgreesWithTheReferenceAndItsGradient) {
    auto op = std::make_shared<Flip>();
    op->axes = {2};
    check_op(op, {{batched_type({5, 2, 3})}, {}, 2});
    check_op(op, {{plain_type({5, 2, 3})}, {}, 1});
    op->axes = {0, 1};
    check_op(op, {{batched_type({5, 2, 3})}, {}, 2});
    EXPECT_EQ(
        node_error(op, {plain_type({5, 2, 3, 3})}),
        R"(net.cpp:7: error[attribute]: flip 'it': the axes are [0,1], but of f32[5,2,3,3] those from 1 to 3 can be turned round
    operand 'a' f32[5,2,3,3] from net.cpp:1
  fix: give each axis once, in ascending order)");
    op->axes = {1, 2, 3};
    check_op(op, {{plain_type({5, 2, 3, 4})}, {}, 1});
    EXPECT_TRUE(is_inlinable(*op, {plain_type({5, 2, 3, 4})}));
}

TEST(AddMap, AgreesWithTheReferenceAndItsGradient) {
    for (const std::vector<int64_t>& shape :
         std::vector<std::vector<int64_t>>{{3, 2, 4}, {17, 1, 3}, {16, 3, 1}}) {
        check_op(std::make_shared<AddMap>(), {{batched_type(shape), plain_type(shape)}, {}});
        check_lowering(SumSamples(), {{batched_type(shape)}, {}});
    }
    EXPECT_TRUE(is_inlinable(AddMap(), {batched_type({3, 2, 4}), plain_type({3, 2, 4})}));
    EXPECT_EQ(
        node_error(std::make_shared<AddMap>(), {batched_type({3, 2, 4}), plain_type({3, 4, 2})}),
        R"(net.cpp:7: error[shape]: add_map 'it': the bias is f32[3,4,2], but the map f32[n,3,2,4]
    operand 'a' f32[n,3,2,4] from net.cpp:1
    operand 'b' f32[3,4,2] from net.cpp:2
  fix: give both the same channels, height and width)");
}

}  // namespace
}  // namespace emulsion::test
