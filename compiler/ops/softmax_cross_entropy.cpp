// The loss of a classifier whose labels are class indices.
#include "compiler/ops/softmax_cross_entropy.h"

#include <fmt/format.h>

#include "compiler/graph/limits.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/softmax.h"
#include "compiler/ops/strict.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::Var;

// Shape

namespace {

void expect_scores_and_labels(const TensorType& scores, const TensorType& labels) {
    expect_scores(scores, "scores");
    expect_same_order(scores.factors, "scores", {}, "labels");
    if (labels == batched_type({}, ElementType::i32)) return;
    fail("element",
         fmt::format("the labels must be i32[n], one class index per sample, but are {}",
                     to_string(labels)),
         "give it an integer input without axes of its own as labels");
}

// The labels are classes.
int64_t classes_of(size_t operand, std::span<const TensorType> inputs) {
    return operand == 1 ? inputs[0].shape[0] : 0;
}

}  // namespace

std::vector<TensorType> SoftmaxCrossEntropy::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 2);
    expect_scores_and_labels(inputs[0], inputs[1]);
    return {batched_type({}), batched_type({})};
}

std::vector<TensorType> SoftmaxCrossEntropyBackward::infer(
    std::span<const TensorType> inputs) const {
    expect_operands(inputs, 3);
    expect_scores_and_labels(inputs[0], inputs[1]);
    expect_gradient_of(inputs[2], batched_type({}));
    return {inputs[0]};
}

int64_t SoftmaxCrossEntropy::index_limit(size_t operand, std::span<const TensorType> inputs) const {
    return classes_of(operand, inputs);
}

int64_t SoftmaxCrossEntropyBackward::index_limit(size_t operand,
                                                 std::span<const TensorType> inputs) const {
    return classes_of(operand, inputs);
}

// Gradient

std::vector<Value> SoftmaxCrossEntropy::gradient(GradientContext& context) const {
    std::vector<Value> result(2);
    if (!context.needed[0] || !context.gradients[0].defined()) return result;
    result[0] = context.add("dscores", std::make_shared<SoftmaxCrossEntropyBackward>(),
                            {context.inputs[0], context.inputs[1], context.gradients[0]});
    return result;
}

// Lowering

std::vector<Func> SoftmaxCrossEntropy::lower(const LowerContext& context,
                                             const std::vector<Func>& inputs) const {
    const int classes = to_int(context.inputs[0].shape[0]);
    Var n("n");
    Func sums = softmax_sums(context.name, inputs[0], classes);
    const Expr label = inputs[1](n);
    const Strict score(Expr(inputs[0](Halide::clamp(label, 0, classes - 1), n)));
    Func loss(context.name + "__loss"), correct(context.name + "__correct");  // (n)
    loss(n) = Strict(log_f32(sums(n)[1])) + (Strict(sums(n)[0]) - score);
    correct(n) = Halide::select(sums(n)[2] == label, 1.0F, 0.0F);
    return {loss, correct};
}

std::vector<Func> SoftmaxCrossEntropyBackward::lower(const LowerContext& context,
                                                     const std::vector<Func>& inputs) const {
    Var f("f"), n("n");
    Func sums = softmax_sums(context.name, inputs[0], context.inputs[0].shape[0]);
    const Strict probability =
        Strict(exp_f32(Strict(Expr(inputs[0](f, n))) - Strict(sums(n)[0]))) / Strict(sums(n)[1]);
    const Expr target = Halide::select(f == inputs[1](n), 1.0F, 0.0F);
    Func out(context.name);  // (f, n)
    out(f, n) = (probability - Strict(target)) * Strict(Expr(inputs[2](n)));
    return {out};
}

}  // namespace emulsion
