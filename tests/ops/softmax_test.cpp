// Softmax, and the losses made of its rows.
#include "compiler/ops/softmax.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "compiler/ops/distribution_cross_entropy.h"
#include "compiler/ops/label_weight.h"
#include "compiler/ops/multi_margin.h"
#include "compiler/ops/softmax_cross_entropy.h"
#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

using reference::Tensor;
using Values = std::vector<double>;

// Scores of this shape, classes first, with their labels.
OpCase scores_and_labels(std::vector<int64_t> shape) {
    const TensorType scores = batched_type(std::move(shape));
    OpCase op_case{{scores, row_type(scores, ElementType::i32)}, {}};
    op_case.classes = scores.shape[0];
    return op_case;
}

std::shared_ptr<SoftmaxCrossEntropy> cross_entropy(double smoothing, Values weights = {},
                                                   std::vector<int64_t> ignored = {}) {
    auto op = std::make_shared<SoftmaxCrossEntropy>();
    op->label_smoothing = smoothing;
    op->class_weights = std::move(weights);
    op->ignored = std::move(ignored);
    return op;
}

Tensor scores(Values values) {
    const auto classes = static_cast<int64_t>(values.size());
    return reference::make_tensor(batched_type({classes}), 1, std::move(values));
}

Tensor label(int value) {
    return reference::make_tensor(batched_type({}, ElementType::i32), 1,
                                  {static_cast<double>(value)});
}

TEST(Softmax, AgreesWithTheReferenceAndItsGradient) {
    check_op(std::make_shared<Softmax>(), {{batched_type({10})}, {}});
    check_op(std::make_shared<Softmax>(), {{batched_type({2})}, {}});
    check_op(std::make_shared<Softmax>(), {{batched_type({5, 3, 7})}, {}});
    check_op(std::make_shared<Softmax>(), {{batched_type({3, 2, 1, 5})}, {}});
    check_lowering(Softmax(), {{batched_type({2, 4})}, {}});
}

TEST(LogSoftmax, AgreesWithTheReferenceAndItsGradient) {
    check_op(std::make_shared<LogSoftmax>(), {{batched_type({10})}, {}});
    check_op(std::make_shared<LogSoftmax>(), {{batched_type({5, 3, 7})}, {}});
    check_op(std::make_shared<LogSoftmax>(), {{batched_type({4, 2, 3, 2})}, {}});
}

TEST(LogSoftmax, KeepsTheLogarithmOfWhatVanishes) {
    expect_near(run_op(LogSoftmax(), {scores({1000, 0, -1000})}, 1)[0].values, {0, -1000, -2000},
                0);
}

TEST(Softmax, LargeScoresDoNotOverflow) {
    expect_near(run_op(Softmax(), {scores({1000, 1000, -1000})}, 1)[0].values, {0.5, 0.5, 0}, 1e-7);
}

TEST(SoftmaxCrossEntropy, AgreesWithTheReferenceAndItsGradient) {
    check_op(std::make_shared<SoftmaxCrossEntropy>(), scores_and_labels({10}));
    check_op(std::make_shared<SoftmaxCrossEntropy>(), scores_and_labels({2}));
    check_op(std::make_shared<SoftmaxCrossEntropy>(), scores_and_labels({5, 3, 7}));
    check_op(std::make_shared<SoftmaxCrossEntropy>(), scores_and_labels({4, 9}));
    check_op(std::make_shared<SoftmaxCrossEntropy>(), scores_and_labels({3, 2, 1, 5}));
}

TEST(SoftmaxCrossEntropy, SmoothedWeightedAndIgnored) {
    const Values weights = {1, 0, 2.5, 0.5, 1};
    check_op(cross_entropy(0.1), scores_and_labels({5}));
    check_op(cross_entropy(0, weights), scores_and_labels({5}));
    check_op(cross_entropy(0, {}, {3}), scores_and_labels({5, 1, 3}));
    check_op(cross_entropy(0.2, weights, {0}), scores_and_labels({5, 1, 3}));
    check_op(cross_entropy(0.2, weights, {4}), scores_and_labels({5, 2, 1, 3}));
}

// PyTorch's cross_entropy of these scores and labels, by its formula in double precision.
TEST(SoftmaxCrossEntropy, HasPyTorchsNumbers) {
    const TensorType type = batched_type({3}), labels = batched_type({}, ElementType::i32);
    const Tensor x = reference::make_tensor(type, 2, {1, 2, 0.5, 0.1, -1, 3}),
                 y = reference::make_tensor(labels, 2, {1, 0}),
                 third = reference::make_tensor(batched_type({}), 2, {1.0 / 3, 1.0 / 3});
    const Values w = {1, 2, 0.5};  // which sum to 3 over the labels
    const auto loss = [&](double smoothing, const Values& weights) {
        return run_op(*cross_entropy(smoothing, weights), {x, y}, 2)[0].values;
    };
    expect_near(loss(0, {}), {0.46436878, 2.97077422}, 1e-6);
    expect_near(loss(0.1, {}), {0.54770212, 2.91077422}, 1e-6);
    expect_near(loss(0, w), {0.92873757, 2.97077422}, 1e-6);
    expect_near(loss(0.1, w), {0.94837350, 3.04528712}, 1e-6);
    const SoftmaxCrossEntropyBackward backward(*cross_entropy(0.1, w));
    expect_near(run_op(backward, {x, y, third}, 2)[0].values,
                {0.13661527, -0.22066029, 0.08404502, -0.29373844, -0.01643936, 0.31017781}, 1e-6);
}

TEST(SoftmaxCrossEntropy, WhatIsIgnoredIsNothing) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const std::vector<Tensor> operands = {scores({1, nan, 3}), label(-100)};
    const auto results = run_op(*cross_entropy(0.1, {}, {-100}), operands, 1);
    EXPECT_EQ(results[0].values, (Values{0}));
    EXPECT_EQ(results[1].values, (Values{0}));
    const Tensor one = reference::make_tensor(batched_type({}), 1, {1});
    const SoftmaxCrossEntropyBackward backward(*cross_entropy(0.1, {}, {-100}));
    EXPECT_EQ(run_op(backward, {operands[0], operands[1], one}, 1)[0].values, (Values{0, 0, 0}));
}

TEST(LabelWeight, IsThatOfTheClassAndNothingOfTheIgnored) {
    LabelWeight op;
    op.class_weights = {1, 1, 0.25, 3};
    op.ignored = {1};
    for (const std::vector<int64_t>& shape : {std::vector<int64_t>{}, {1, 3, 5}, {1, 2, 3, 2}}) {
        OpCase op_case{{batched_type(shape, ElementType::i32)}, {}};
        op_case.classes = 4;
        check_lowering(op, op_case);
        check_lowering(LabelWeight(), op_case);
    }
}

TEST(WeightedMean, OfNothingIsZero) {
    check_lowering(WeightedMean(),
                   {{plain_type({}), plain_type({})}, {Fill::normal, Fill::positive}});
    const auto number = [](double value) {
        return reference::make_tensor(plain_type({}), 1, {value});
    };
    EXPECT_EQ(run_op(WeightedMean(), {number(0), number(0)}, 1)[0].values, (Values{0}));
    EXPECT_EQ(run_op(WeightedMean(), {number(3), number(1.5)}, 1)[0].values, (Values{2}));
}

TEST(DistributionCrossEntropy, AgreesWithTheReferenceAndItsGradient) {
    auto op = std::make_shared<DistributionCrossEntropy>();
    for (const std::vector<int64_t>& shape : {std::vector<int64_t>{10}, {5, 3, 2}, {3, 2, 2, 1}}) {
        const TensorType type = batched_type(shape);
        check_op(op, {{type, type}, {Fill::normal, Fill::positive}});
        op->label_smoothing = 0.1;
    }
}

TEST(DistributionCrossEntropy, HasPyTorchsNumbers) {
    const TensorType type = batched_type({3});
    const Tensor x = reference::make_tensor(type, 2, {1, 2, 0.5, 0.1, -1, 3}),
                 t = reference::make_tensor(type, 2, {0.2, 0.7, 0.1, 0.5, 0, 0.5});
    DistributionCrossEntropy op;
    expect_near(run_op(op, {x, t}, 2)[0].values, {0.81436878, 1.52077422}, 1e-6);
    op.label_smoothing = 0.1;
    expect_near(run_op(op, {x, t}, 2)[0].values, {0.86270212, 1.60577422}, 1e-6);
    EXPECT_TRUE(op.is_distribution(1));
    EXPECT_FALSE(op.is_distribution(0));
}

TEST(MultiMargin, AgreesWithTheReferenceAndItsGradient) {
    for (bool squared : {false, true}) {
        auto op = std::make_shared<MultiMargin>();
        op->squared = squared;
        op->margin = squared ? 1 : 0.5;
        check_op(op, squared ? scores_and_labels({7}) : scores_and_labels({3, 2, 5}));
    }
}

TEST(MultiMargin, HasPyTorchsNumbers) {
    const Tensor x = reference::make_tensor(batched_type({3}), 2, {1, 2, 0.5, 0.1, -1, 3}),
                 y = reference::make_tensor(batched_type({}, ElementType::i32), 2, {1, 0});
    MultiMargin op;
    expect_near(run_op(op, {x, y}, 2)[0].values, {0, 1.3}, 1e-6);
    EXPECT_EQ(run_op(op, {x, y}, 2)[1].values, (Values{1, 0}));
    op.squared = true;
    expect_near(run_op(op, {x, y}, 2)[0].values, {0, 5.07}, 1e-6);
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const Tensor bad = reference::make_tensor(batched_type({3}), 2, {1, 2, nan, nan, 1, 2});
    const Values losses = run_op(op, {bad, y}, 2)[0].values;
    for (double loss : losses) EXPECT_TRUE(std::isnan(loss));
}

TEST(SoftmaxCrossEntropy, LargeScores) {  // case L1
    const std::vector<Tensor> operands = {scores({1000, 0, -1000}), label(1)};
    EXPECT_EQ(run_op(SoftmaxCrossEntropy(), operands, 1)[0].values, (Values{1000}));
    EXPECT_EQ(
        run_op(SoftmaxCrossEntropyBackward(),
               {operands[0], operands[1], reference::make_tensor(batched_type({}), 1, {1})}, 1)[0]
            .values,
        (Values{1, -1, 0}));
}

TEST(SoftmaxCrossEntropy, FirstOfEqualScoresIsThePrediction) {  // the kind of case L4
    const Values equal(5, 0.2);
    EXPECT_EQ(run_op(SoftmaxCrossEntropy(), {scores(equal), label(3)}, 1)[1].values, (Values{0}));
    EXPECT_EQ(run_op(SoftmaxCrossEntropy(), {scores(equal), label(0)}, 1)[1].values, (Values{1}));
}

TEST(SoftmaxCrossEntropy, LossOfNotANumberIsNotANumber) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    for (int place = 0; place < 3; place++) {
        Values values = {1, 2, 3};
        values[static_cast<size_t>(place)] = nan;
        for (int index = 0; index < 3; index++) {
            const double loss =
                run_op(SoftmaxCrossEntropy(), {scores(values), label(index)}, 1)[0].values[0];
            EXPECT_FALSE(std::isfinite(loss)) << "NaN at " << place << ", label " << index;
        }
    }
}

TEST(SoftmaxCrossEntropy, LabelOutsideTheClassesReadsNoOtherMemory) {
    for (int wrong : {-1, 3, 2147483647}) {
        EXPECT_NO_THROW(run_op(SoftmaxCrossEntropy(), {scores({1, 2, 3}), label(wrong)}, 1));
    }
}

}  // namespace
}  // namespace emulsion::test
