// Mistakes that the ops' shape rules find: the whole message of each.
#include <gtest/gtest.h>

#include <cmath>

#include "compiler/ops/activations.h"
#include "compiler/ops/adam.h"
#include "compiler/ops/arithmetic.h"
#include "compiler/ops/average_pool.h"
#include "compiler/ops/batch_norm.h"
#include "compiler/ops/batch_norm_parts.h"
#include "compiler/ops/concatenate.h"
#include "compiler/ops/conv2d.h"
#include "compiler/ops/dense.h"
#include "compiler/ops/distribution_cross_entropy.h"
#include "compiler/ops/element_losses.h"
#include "compiler/ops/expand.h"
#include "compiler/ops/flatten.h"
#include "compiler/ops/label_weight.h"
#include "compiler/ops/max_pool.h"
#include "compiler/ops/phase_filter.h"
#include "compiler/ops/reduce.h"
#include "compiler/ops/rotate_filter.h"
#include "compiler/ops/sgd.h"
#include "compiler/ops/slice.h"
#include "compiler/ops/softmax.h"
#include "compiler/ops/softmax_cross_entropy.h"
#include "compiler/ops/sources.h"
#include "compiler/ops/unfactor.h"
#include "tests/support/check_op.h"

namespace emulsion::test {
namespace {

TensorType flat(int64_t features, std::vector<int64_t> factors) {
    TensorType type = batched_type({features});
    type.factors = std::move(factors);
    return type;
}

const TensorType kMap = batched_type({16, 12, 12});
const TensorType kFilter = plain_type({32, 16, 5, 5});

// An op of type T after `change`.
template <class T, class Change>
std::shared_ptr<T> changed(Change change) {
    auto op = std::make_shared<T>();
    change(*op);
    return op;
}

TEST(OpErrors, NumbersThatAreNone) {
    const TensorType features = batched_type({3}), vector = plain_type({3});
    EXPECT_EQ(
        node_error(changed<BatchNorm>([](BatchNorm& op) { op.epsilon = -2; }),
                   {features, vector, vector, vector, vector}),
        R"(net.cpp:7: error[attribute]: batch_norm 'it': the epsilon is -2, but must be 0 or more
    operand 'a' f32[n,3] from net.cpp:1
    operand 'b' f32[3] from net.cpp:2
    operand 'c' f32[3] from net.cpp:3
    operand 'd' f32[3] from net.cpp:4
    operand 'e' f32[3] from net.cpp:5
  fix: choose a small number, such as 1e-5)");
    EXPECT_EQ(
        node_error(changed<Scale>([](Scale& op) { op.factor = 1e300; }), {features}),
        R"(net.cpp:7: error[attribute]: scale 'it': the factor is 1e+300, which is no number of 32-bit floats
    operand 'a' f32[n,3] from net.cpp:1
  fix: choose a finite number below 3.4e38)");
    const std::vector<TensorType> norm = {features, vector, vector, vector, vector};
    const std::vector<TensorType> adam = {vector,         vector,         vector,        vector,
                                          plain_type({}), plain_type({}), plain_type({})};
    for (double bad : {std::nan(""), static_cast<double>(INFINITY), -1e39}) {
        const auto is_refused = [&](std::shared_ptr<const Op> op,
                                    const std::vector<TensorType>& inputs) {
            EXPECT_NE(node_error(op, inputs).find("error[attribute]"), std::string::npos)
                << op->kind() << " with " << bad;
        };
        is_refused(changed<BatchNorm>([&](BatchNorm& op) { op.epsilon = bad; }), norm);
        is_refused(changed<BatchNorm>([&](BatchNorm& op) { op.momentum = bad; }), norm);
        is_refused(changed<BatchNormFactor>([&](BatchNormFactor& op) { op.epsilon = bad; }),
                   {vector, vector});
        is_refused(
            changed<BatchNormCoefficients>([&](BatchNormCoefficients& op) { op.epsilon = bad; }),
            {vector, vector, vector, vector});
        is_refused(changed<BatchNormFold>([&](BatchNormFold& op) { op.epsilon = bad; }),
                   {vector, vector, vector, vector});
        is_refused(changed<RunningAverage>([&](RunningAverage& op) { op.momentum = bad; }),
                   {vector, vector});
        is_refused(changed<Scale>([&](Scale& op) { op.factor = bad; }), {features});
        is_refused(changed<LeakyRelu>([&](LeakyRelu& op) { op.slope = bad; }), {features});
        is_refused(changed<Expand>([&](Expand& op) { op.scale = bad; }), {features});
        is_refused(changed<SgdPlain>([&](SgdPlain& op) { op.weight_decay = bad; }),
                   {vector, vector, plain_type({})});
        is_refused(changed<SgdUpdate>([&](SgdUpdate& op) { op.momentum = bad; }),
                   {vector, vector, vector, plain_type({})});
        is_refused(changed<AdamUpdate>([&](AdamUpdate& op) { op.epsilon = bad; }), adam);
        is_refused(changed<AdamUpdate>([&](AdamUpdate& op) { op.beta2 = bad; }), adam);
        is_refused(changed<AdamCorrection>([&](AdamCorrection& op) { op.beta = bad; }),
                   {plain_type({})});
        is_refused(changed<Constant>([&](Constant& op) { op.value = bad; }), {});
        is_refused(changed<State>([&](State& op) { op.value = bad; }), {});
        is_refused(changed<Parameter>([&](Parameter& op) { op.scale = bad; }), {});
    }
}

TEST(OpErrors, SoftmaxOverOneScore) {
    EXPECT_EQ(
        node_error(std::make_shared<Softmax>(), {batched_type({1})}),
        R"(net.cpp:7: error[scores]: softmax 'it': softmax over one score is always 1; the operand is f32[n,1]
    operand 'a' f32[n,1] from net.cpp:1
  fix: give it 2 scores or more; for one, use sigmoid and binary_cross_entropy)");
    EXPECT_EQ(
        node_error(std::make_shared<SoftmaxCrossEntropy>(),
                   {batched_type({1}), batched_type({}, ElementType::i32)}),
        R"(net.cpp:7: error[scores]: softmax_cross_entropy 'it': softmax over one score is always 1; the operand is f32[n,1]
    operand 'a' f32[n,1] from net.cpp:1
    operand 'b' i32[n] from net.cpp:2
  fix: give it 2 scores or more; for one, use sigmoid and binary_cross_entropy)");
}

TEST(OpErrors, Operands) {
    EXPECT_EQ(node_error(std::make_shared<Conv2d>(), {kMap}),
              R"(net.cpp:7: error[operands]: conv2d 'it': it takes 2 operands, but 1 is given
    operand 'a' f32[n,16,12,12] from net.cpp:1
  fix: give it 2 operands)");
    EXPECT_EQ(node_error(std::make_shared<Softmax>(), {}),
              R"(net.cpp:7: error[operands]: softmax 'it': it takes 1 operand, but 0 are given
  fix: give it 1 operand)");
    EXPECT_EQ(
        node_error(std::make_shared<Concatenate>(), {}),
        R"(net.cpp:7: error[operands]: concatenate 'it': it takes at least 1 operand, but 0 are given
  fix: give it an operand)");
}

TEST(OpErrors, Element) {
    EXPECT_EQ(
        node_error(std::make_shared<Conv2d>(),
                   {batched_type({16, 12, 12}, ElementType::u8), kFilter}),
        R"(net.cpp:7: error[element]: conv2d 'it': the input must be f32, but is u8[n,16,12,12]
    operand 'a' u8[n,16,12,12] from net.cpp:1
    operand 'b' f32[32,16,5,5] from net.cpp:2
  fix: give it f32 values as input)");
    EXPECT_EQ(
        node_error(std::make_shared<SoftmaxCrossEntropy>(), {batched_type({10}), batched_type({})}),
        R"(net.cpp:7: error[element]: softmax_cross_entropy 'it': the labels must be i32[n], one class index per sample, but are f32[n]
    operand 'a' f32[n,10] from net.cpp:1
    operand 'b' f32[n] from net.cpp:2
  fix: give it an integer input without axes of its own as labels)");
}

TEST(OpErrors, LabelsAndTargets) {
    const TensorType map = batched_type({3, 4, 5});
    EXPECT_EQ(
        node_error(std::make_shared<SoftmaxCrossEntropy>(),
                   {map, batched_type({4, 5}, ElementType::i32)}),
        R"(net.cpp:7: error[element]: softmax_cross_entropy 'it': the labels must be i32[n,1,4,5], one class index per pixel, but are i32[n,4,5]
    operand 'a' f32[n,3,4,5] from net.cpp:1
    operand 'b' i32[n,4,5] from net.cpp:2
  fix: give it an integer input with one channel and the scores' positions as labels)");
    EXPECT_EQ(
        node_error(std::make_shared<DistributionCrossEntropy>(), {map, batched_type({3})}),
        R"(net.cpp:7: error[shape]: distribution_cross_entropy 'it': the scores are f32[n,3,4,5], but the target is f32[n,3]
    operand 'a' f32[n,3,4,5] from net.cpp:1
    operand 'b' f32[n,3] from net.cpp:2
  fix: give it as target a probability for each score)");
    EXPECT_EQ(
        node_error(std::make_shared<Huber>(), {batched_type({4}), batched_type({})}),
        R"(net.cpp:7: error[shape]: huber 'it': the prediction is f32[n,4], but the target is f32[n]
    operand 'a' f32[n,4] from net.cpp:1
    operand 'b' f32[n] from net.cpp:2
  fix: give it a target of the prediction's shape)");
    EXPECT_EQ(
        node_error(std::make_shared<LabelWeight>(), {batched_type({})}),
        R"(net.cpp:7: error[element]: label_weight 'it': the labels must be i32[n] or i32[n,1,H,W], but are f32[n]
    operand 'a' f32[n] from net.cpp:1
  fix: give it the labels of a softmax_cross_entropy)");
    EXPECT_EQ(
        node_error(std::make_shared<WeightedMean>(), {plain_type({}), batched_type({})}),
        R"(net.cpp:7: error[shape]: weighted_mean 'it': the operands must be sums of type f32[], but one is f32[n]
    operand 'a' f32[] from net.cpp:1
    operand 'b' f32[n] from net.cpp:2
  fix: reduce it to its sum first)");
    EXPECT_EQ(
        node_error(std::make_shared<LogSoftmax>(), {plain_type({4})}),
        R"(net.cpp:7: error[rank]: log_softmax 'it': the input must be features (n, features), or a map (n, channels, height, width), a line or a volume, but is f32[4]
    operand 'a' f32[4] from net.cpp:1
  fix: give it a score for each class)");
}

TEST(OpErrors, AttributesOfLosses) {
    const auto message = [](std::shared_ptr<const Op> op) {
        const TensorType label = batched_type({}, ElementType::i32), three = batched_type({3});
        const bool has_labels = op->index_limit(1, std::vector{three, label}) > 0;
        const std::string error = node_error(std::move(op), {three, has_labels ? label : three});
        return error.substr(0, error.find('\n')) + error.substr(error.rfind('\n'));
    };
    const auto cross_entropy = [&](const std::function<void(SoftmaxCrossEntropy&)>& change) {
        return message(changed<SoftmaxCrossEntropy>(change));
    };
    const std::string start = "net.cpp:7: error[attribute]: softmax_cross_entropy 'it': ";
    EXPECT_EQ(cross_entropy([](auto& op) { op.label_smoothing = 1; }),
              start +
                  "the label smoothing is 1, but must be from 0 to less than 1\n"
                  "  fix: choose a small number, such as 0.1");
    EXPECT_EQ(cross_entropy([](auto& op) { op.class_weights = {1, 2}; }),
              start +
                  "there are 2 class weights, but 3 classes\n"
                  "  fix: give one weight for each class");
    EXPECT_EQ(cross_entropy([](auto& op) { op.class_weights = {1, -2, 1}; }),
              start +
                  "a class weight is -2, but must be 0 or more\n"
                  "  fix: give rare classes larger weights, 0 to those that do not count");
    EXPECT_EQ(cross_entropy([](auto& op) { op.class_weights = {0, 0, 0}; }),
              start + "all class weights are 0\n  fix: give at least one class a weight");
    EXPECT_EQ(cross_entropy([](auto& op) { op.class_weights.assign(5000, 1); }),
              start +
                  "there are 5000 class weights, but at most 4096 can be given\n"
                  "  fix: leave the class weights out");
    EXPECT_EQ(cross_entropy([](auto& op) { op.ignored = {1, 2}; }),
              start +
                  "2 labels are to be ignored, but one can be\n"
                  "  fix: give what does not count one label");
    EXPECT_EQ(
        message(changed<Huber>([](Huber& op) { op.delta = 0; })),
        "net.cpp:7: error[attribute]: huber 'it': the delta is 0, but must be greater than 0\n"
        "  fix: choose a positive number, such as 1");
    EXPECT_EQ(message(changed<BinaryCrossEntropy>(
                  [](BinaryCrossEntropy& op) { op.positive_weight = -1; })),
              "net.cpp:7: error[attribute]: binary_cross_entropy 'it': the positive weight is -1, "
              "but must be greater than 0\n"
              "  fix: choose a positive number, such as 1");
}

TEST(OpErrors, Rank) {
    EXPECT_EQ(
        node_error(std::make_shared<Conv2d>(), {batched_type({400}), kFilter}),
        R"(net.cpp:7: error[rank]: conv2d 'it': the input must be a map (n, channels, height, width), or one with a length, or a depth, height and width behind the channels, but is f32[n,400]
    operand 'a' f32[n,400] from net.cpp:1
    operand 'b' f32[32,16,5,5] from net.cpp:2
  fix: put it before the layers that flatten the map)");
    EXPECT_EQ(
        node_error(std::make_shared<Conv2d>(), {kMap, plain_type({32, 16})}),
        R"(net.cpp:7: error[rank]: conv2d 'it': the filter must be a parameter (out, in, kh, kw), but is f32[32,16]
    operand 'a' f32[n,16,12,12] from net.cpp:1
    operand 'b' f32[32,16] from net.cpp:2
  fix: give it a parameter with 4 axes)");
    EXPECT_EQ(
        node_error(std::make_shared<Dense>(), {kMap, plain_type({32, 16})}),
        R"(net.cpp:7: error[rank]: dense 'it': the input must be features (n, features), but is f32[n,16,12,12]
    operand 'a' f32[n,16,12,12] from net.cpp:1
    operand 'b' f32[32,16] from net.cpp:2
  fix: flatten it first)");
    EXPECT_EQ(
        node_error(std::make_shared<MaxPool>(), {plain_type({16, 12, 12})}),
        R"(net.cpp:7: error[rank]: max_pool 'it': the input must be a map (n, channels, height, width), or one with a length, or a depth, height and width behind the channels, but is f32[16,12,12]
    operand 'a' f32[16,12,12] from net.cpp:1
  fix: put it before the layers that flatten the map)");
    EXPECT_EQ(
        node_error(std::make_shared<Slice>(), {batched_type({})}),
        R"(net.cpp:7: error[rank]: slice 'it': the input must have samples and channels, but is f32[n]
    operand 'a' f32[n] from net.cpp:1
  fix: give it a map or features)");
}

TEST(OpErrors, Channels) {
    EXPECT_EQ(
        node_error(std::make_shared<Conv2d>(), {batched_type({20, 12, 12}), kFilter}),
        R"(net.cpp:7: error[channels]: conv2d 'it': input has 20 channels, but the filter expects 16
    operand 'a' f32[n,20,12,12] from net.cpp:1
    operand 'b' f32[32,16,5,5] from net.cpp:2
  fix: give the filter 20 input channels)");
    EXPECT_EQ(
        node_error(std::make_shared<Dense>(), {batched_type({20}), plain_type({32, 16})}),
        R"(net.cpp:7: error[channels]: dense 'it': input has 20 features, but the weights expect 16
    operand 'a' f32[n,20] from net.cpp:1
    operand 'b' f32[32,16] from net.cpp:2
  fix: give the weights 20 input features)");
    EXPECT_EQ(
        node_error(changed<Slice>([](Slice& op) { op.begin = 10, op.count = 8; }), {kMap}),
        R"(net.cpp:7: error[channels]: slice 'it': channels 10 to 17 are asked for, but there are 16
    operand 'a' f32[n,16,12,12] from net.cpp:1
  fix: choose a range of at least one channel within 0 to 15)");
}

TEST(OpErrors, Groups) {
    const auto grouped = [](int64_t groups) {
        return changed<Conv2d>([&](Conv2d& op) { op.groups = groups; });
    };
    for (int64_t groups : {0, 3, 64}) {
        const std::string error = node_error(grouped(groups), {kMap, kFilter});
        EXPECT_EQ(error.substr(0, error.find('\n')),
                  "net.cpp:7: error[groups]: conv2d 'it': 16 channels and 32 filters cannot be cut "
                  "into " +
                      std::to_string(groups) + " equal groups");
        EXPECT_TRUE(error.ends_with("\n  fix: choose a number of groups that divides both"));
    }
    EXPECT_EQ(
        node_error(grouped(4), {kMap, kFilter}),
        R"(net.cpp:7: error[channels]: conv2d 'it': input has 16 channels in 4 groups, but the filter expects 16
    operand 'a' f32[n,16,12,12] from net.cpp:1
    operand 'b' f32[32,16,5,5] from net.cpp:2
  fix: give the filter 4 input channels)");
    const std::string rotated =
        node_error(changed<RotateFilter>([](RotateFilter& op) { op.groups = 5; }), {kFilter});
    EXPECT_EQ(rotated.substr(0, rotated.find('\n')),
              "net.cpp:7: error[groups]: rotate_filter 'it': 32 filters cannot be cut into 5 equal "
              "groups");
    EXPECT_EQ(
        node_error(changed<PhaseFilter>([](PhaseFilter& op) { op.stride = {2, 0}; }), {kFilter}),
        R"(net.cpp:7: error[attribute]: phase_filter 'it': the stride is [2,0], but f32[32,16,5,5] needs 2 numbers of 1 or more
    operand 'a' f32[32,16,5,5] from net.cpp:1
  fix: give the stride of the convolution)");
}

TEST(OpErrors, FilterLargerThanItsInput) {
    EXPECT_EQ(node_error(std::make_shared<Conv2d>(), {batched_type({16, 4, 4}), kFilter}),
              R"(net.cpp:7: error[window]: conv2d 'it': the 5x5 filter is larger than its input 4x4
    operand 'a' f32[n,16,4,4] from net.cpp:1
    operand 'b' f32[32,16,5,5] from net.cpp:2
  fix: use a filter of at most 4x4, or pad the input to at least 5x5)");
    EXPECT_EQ(
        node_error(
            changed<Conv2d>([](Conv2d& op) { op.padding = {0, 0, 1, 1}, op.dilation = {2, 1}; }),
            {batched_type({16, 6, 2}), kFilter}),
        R"(net.cpp:7: error[window]: conv2d 'it': the 5x5 filter, with dilation 2x1 covering 9x5, is larger than its padded input 6x4
    operand 'a' f32[n,16,6,2] from net.cpp:1
    operand 'b' f32[32,16,5,5] from net.cpp:2
  fix: use a filter that covers at most 6x4, or pad the input to at least 9x5)");
    EXPECT_EQ(
        node_error(changed<MaxPool>([](MaxPool& op) { op.window = {3, 3}; }),
                   {batched_type({16, 2, 8})}),
        R"(net.cpp:7: error[window]: max_pool 'it': the 3x3 window is larger than its input 2x8
    operand 'a' f32[n,16,2,8] from net.cpp:1
  fix: use a window of at most 2x3, or pad the input to at least 3x8)");
    EXPECT_EQ(
        node_error(changed<MaxPool>([](MaxPool& op) { op.window = {20, 20}; }),
                   {batched_type({16, 28, 28})}),
        R"(net.cpp:7: error[window]: max_pool 'it': the window 20x20 has 400 cells, but the winner's number is kept in one byte, up to 256
    operand 'a' f32[n,16,28,28] from net.cpp:1
  fix: use two poolings in a row, or a window of at most 16x16)");
}

TEST(OpErrors, PaddingAsWideAsTheWindow) {  // case P6
    EXPECT_EQ(
        node_error(changed<MaxPool>([](MaxPool& op) { op.padding = {2, 2, 2, 2}; }),
                   {batched_type({1, 2, 2})}),
        R"(net.cpp:7: error[padding]: max_pool 'it': the padding 2 is as wide as the window 2 along the height: a window would hold no cell of the map
    operand 'a' f32[n,1,2,2] from net.cpp:1
  fix: pad at most 1 per side, or use a window of at least 3)");
    EXPECT_EQ(
        node_error(changed<AveragePool>(
                       [](AveragePool& op) { op.window = {3, 1}, op.padding = {0, 0, 0, 1}; }),
                   {batched_type({1, 4, 4})}),
        R"(net.cpp:7: error[padding]: average_pool 'it': the padding 1 is as wide as the window 1 along the width: a window would hold no cell of the map
    operand 'a' f32[n,1,4,4] from net.cpp:1
  fix: pad at most 0 per side, or use a window of at least 2)");
}

TEST(OpErrors, Attributes) {
    EXPECT_EQ(node_error(changed<Conv2d>([](Conv2d& op) { op.stride = {1}; }), {kMap, kFilter}),
              R"(net.cpp:7: error[attribute]: conv2d 'it': stride needs 2 numbers, but is [1]
    operand 'a' f32[n,16,12,12] from net.cpp:1
    operand 'b' f32[32,16,5,5] from net.cpp:2
  fix: give stride=[height,width])");
    EXPECT_EQ(node_error(changed<Conv2d>([](Conv2d& op) { op.padding = {1, 1}; }), {kMap, kFilter}),
              R"(net.cpp:7: error[attribute]: conv2d 'it': padding needs 4 numbers, but is [1,1]
    operand 'a' f32[n,16,12,12] from net.cpp:1
    operand 'b' f32[32,16,5,5] from net.cpp:2
  fix: give padding=[top,bottom,left,right])");
    EXPECT_EQ(node_error(changed<Conv2d>([](Conv2d& op) { op.stride = {0, 1}; }), {kMap, kFilter}),
              R"(net.cpp:7: error[attribute]: conv2d 'it': stride is 0, but must be 1 to 1048576
    operand 'a' f32[n,16,12,12] from net.cpp:1
    operand 'b' f32[32,16,5,5] from net.cpp:2
  fix: give stride numbers from 1 to 1048576)");
    EXPECT_EQ(node_error(changed<MaxPool>([](MaxPool& op) { op.padding = {0, 0, -1, 0}; }), {kMap}),
              R"(net.cpp:7: error[attribute]: max_pool 'it': padding is -1, but must be 0 to 1048576
    operand 'a' f32[n,16,12,12] from net.cpp:1
  fix: give padding numbers from 0 to 1048576)");
    EXPECT_EQ(
        node_error(changed<Unflatten>([](Unflatten& op) { op.shape = {12}; }),
                   {batched_type({12})}),
        R"(net.cpp:7: error[attribute]: unflatten 'it': shape is [12], but must name channels and the extents behind them
    operand 'a' f32[n,12] from net.cpp:1
  fix: give shape=[channels,height,width])");
    EXPECT_EQ(
        node_error(changed<Conv2dBackwardData>([](Conv2dBackwardData& op) { op.input = {12}; }),
                   {kMap, kFilter}),
        R"(net.cpp:7: error[attribute]: conv2d_backward_data 'it': input must be a height and a width
    operand 'a' f32[n,16,12,12] from net.cpp:1
    operand 'b' f32[32,16,5,5] from net.cpp:2
  fix: give input=[height,width])");
    EXPECT_EQ(
        node_error(changed<Factor>([](Factor& op) { op.factors = {3, 2, 2}; }),
                   {batched_type({13})}),
        R"(net.cpp:7: error[attribute]: factor 'it': factors are [3,2,2], but their product must be the number of features, 13
    operand 'a' f32[n,13] from net.cpp:1
  fix: give factors=[channels,height,width] of the map)");
    EXPECT_EQ(
        node_error(changed<Reduce>([](Reduce& op) { op.keep_samples = true; }), {plain_type({12})}),
        R"(net.cpp:7: error[attribute]: reduce 'it': keep_samples is true, but the input f32[12] has no samples
    operand 'a' f32[12] from net.cpp:1
  fix: leave keep_samples out)");
    EXPECT_EQ(
        node_error(changed<Reduce>([](Reduce& op) { op.keep_channels = true; }),
                   {batched_type({})}),
        R"(net.cpp:7: error[attribute]: reduce 'it': keep_channels is true, but the input f32[n] has no channels
    operand 'a' f32[n] from net.cpp:1
  fix: leave keep_channels out)");
}

TEST(OpErrors, OrderOfFeatures) {
    EXPECT_EQ(
        node_error(std::make_shared<Dense>(), {flat(12, {3, 2, 2}), plain_type({5, 12})}),
        R"(net.cpp:7: error[factors]: dense 'it': the input has its features in the order of a 3x2x2 map, but the weights in plain order
    operand 'a' f32[n,12]{3,2,2} from net.cpp:1
    operand 'b' f32[5,12] from net.cpp:2
  fix: give both the same {channels,height,width} behind their shape)");
    EXPECT_EQ(
        node_error(std::make_shared<Concatenate>(), {flat(12, {3, 2, 2}), batched_type({5})}),
        R"(net.cpp:7: error[factors]: concatenate 'it': the operand has its features in the order of a 3x2x2 map, which has no channels to cut or join
    operand 'a' f32[n,12]{3,2,2} from net.cpp:1
    operand 'b' f32[n,5] from net.cpp:2
  fix: do it before the map is flattened)");
}

TEST(OpErrors, Shapes) {
    EXPECT_EQ(
        node_error(std::make_shared<Concatenate>(), {kMap, batched_type({3, 12, 11})}),
        R"(net.cpp:7: error[shape]: concatenate 'it': operand 2 is f32[n,3,12,11], but operand 1 is f32[n,16,12,12]: they may differ in channels only
    operand 'a' f32[n,16,12,12] from net.cpp:1
    operand 'b' f32[n,3,12,11] from net.cpp:2
  fix: bring all operands to one height and width first)");
    EXPECT_EQ(
        node_error(changed<Expand>([](Expand& op) { op.shape = {3, 4, 4}; }), {batched_type({5})}),
        R"(net.cpp:7: error[shape]: expand 'it': f32[n,5] cannot be repeated over f32[n,3,4,4]
    operand 'a' f32[n,5] from net.cpp:1
  fix: give it a scalar, one value per sample, per channel, or per sample and channel, or a tensor of as many axes whose extents are the same or 1)");
    EXPECT_EQ(
        node_error(changed<Unflatten>([](Unflatten& op) { op.shape = {3, 4, 4}; }),
                   {batched_type({40})}),
        R"(net.cpp:7: error[shape]: unflatten 'it': input has 40 features, but a 3x4x4 map has 48
    operand 'a' f32[n,40] from net.cpp:1
  fix: choose channels, height and width whose product is the number of features)");
    EXPECT_EQ(
        node_error(
            changed<AveragePoolBackward>([](AveragePoolBackward& op) { op.input = {12, 12}; }),
            {kMap}),
        R"(net.cpp:7: error[shape]: average_pool_backward 'it': the gradient is f32[n,16,12,12], but the result it belongs to is f32[n,16,6,6]
    operand 'a' f32[n,16,12,12] from net.cpp:1
  fix: give it the gradient of the result these attributes describe)");
    EXPECT_EQ(
        node_error(changed<MaxPoolBackward>([](MaxPoolBackward& op) { op.input = {24, 24}; }),
                   {kMap, kMap}),
        R"(net.cpp:7: error[shape]: max_pool_backward 'it': the index is f32[n,16,12,12], but the gradient f32[n,16,12,12] needs u8[n,16,12,12]
    operand 'a' f32[n,16,12,12] from net.cpp:1
    operand 'b' f32[n,16,12,12] from net.cpp:2
  fix: give it the second result of the max_pool it belongs to)");
}

}  // namespace
}  // namespace emulsion::test
