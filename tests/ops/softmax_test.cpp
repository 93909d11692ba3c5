// Softmax and the loss of a classifier.
#include "compiler/ops/softmax.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "compiler/ops/softmax_cross_entropy.h"
#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

using reference::Tensor;
using Values = std::vector<double>;

OpCase scores_and_labels(int64_t classes) {
    OpCase op_case{{batched_type({classes}), batched_type({}, ElementType::i32)}, {}};
    op_case.classes = classes;
    return op_case;
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
}

TEST(Softmax, LargeScoresDoNotOverflow) {
    expect_near(run_op(Softmax(), {scores({1000, 1000, -1000})}, 1)[0].values, {0.5, 0.5, 0}, 1e-7);
}

TEST(SoftmaxCrossEntropy, AgreesWithTheReferenceAndItsGradient) {
    check_op(std::make_shared<SoftmaxCrossEntropy>(), scores_and_labels(10));
    check_op(std::make_shared<SoftmaxCrossEntropy>(), scores_and_labels(2));
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
