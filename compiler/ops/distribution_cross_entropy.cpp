// Cross-entropy with a distribution as target.
#include "compiler/ops/distribution_cross_entropy.h"

#include <fmt/format.h>

#include "compiler/ops/arithmetic.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/softmax.h"
#include "compiler/ops/strict.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;

// Shape

namespace {

void expect_scores_and_target(std::span<const TensorType> inputs, double smoothing) {
    expect_scores(inputs[0], "scores");
    expect_smoothing(smoothing);
    if (inputs[1] == inputs[0]) return;
    fail("shape",
         fmt::format("the scores are {}, but the target is {}", to_string(inputs[0]),
                     to_string(inputs[1])),
         "give it as target a probability for each score");
}

}  // namespace

std::vector<TensorType> DistributionCrossEntropy::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 2);
    expect_scores_and_target(inputs, label_smoothing);
    return {row_type(inputs[0])};
}

std::vector<TensorType> DistributionCrossEntropyBackward::infer(
    std::span<const TensorType> inputs) const {
    expect_operands(inputs, 3);
    expect_scores_and_target(inputs, label_smoothing);
    expect_gradient_of(inputs[2], row_type(inputs[0]));
    return {inputs[0]};
}

// Gradient

std::vector<Value> DistributionCrossEntropy::gradient(GradientContext& context) const {
    std::vector<Value> result(2);
    const Value scores = context.inputs[0], dloss = context.gradients[0];
    if (context.needed[0]) {
        result[0] = context.add("dscores",
                                std::make_shared<DistributionCrossEntropyBackward>(label_smoothing),
                                {scores, context.inputs[1], dloss});
    }
    if (context.needed[1]) {
        const Value logarithm = context.add("log", std::make_shared<LogSoftmax>(), {scores});
        const Value weighted =
            context.add("weighted", std::make_shared<Multiply>(), {logarithm, dloss});
        result[1] =
            context.add("dtarget", std::make_shared<Scale>(label_smoothing - 1), {weighted});
    }
    return result;
}

// Lowering

namespace {

// The target's class c, smoothed.
Strict wanted(const SoftmaxRow& row, const Func& target, double smoothing, const Expr& c) {
    const Strict given(row.of_class(target, c));
    if (smoothing == 0) return given;
    return given * Strict(1 - smoothing) + Strict(smoothing / row.classes());
}

}  // namespace

// With l the logarithm of the sum: the sum over c of t(c) * (l + (top - score(c))).
std::vector<Expr> DistributionCrossEntropy::evaluate(SoftmaxRow& row,
                                                     const std::vector<Func>& operands,
                                                     const Expr&) const {
    const Strict log_sum(log_f32(row.sum())), top(row.top());
    return {row.total("loss", [&](const Expr& c) {
        return Expr(wanted(row, operands[1], label_smoothing, c) *
                    (log_sum + (top - Strict(row.score(c)))));
    })};
}

std::vector<Expr> DistributionCrossEntropyBackward::evaluate(SoftmaxRow& row,
                                                             const std::vector<Func>& operands,
                                                             const Expr& c) const {
    const auto target = [&](const Expr& k) {
        return Expr(wanted(row, operands[1], label_smoothing, k));
    };
    const Strict probability(row.probability(c));
    const Strict whole(row.total("whole", target));
    return {(probability * whole - Strict(target(c))) * Strict(row.of_row(operands[2]))};
}

}  // namespace emulsion
