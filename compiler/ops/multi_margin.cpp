// The hinge loss of a classifier with several classes.
#include "compiler/ops/multi_margin.h"

#include <fmt/format.h>

#include "compiler/graph/limits.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/strict.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;

// Shape

namespace {

void expect_operands_of(const MarginAttributes& attributes, const TensorType& scores,
                        const TensorType& labels) {
    expect_scores(scores, "scores");
    expect_same_order(scores.factors, "scores", {}, "labels");
    expect_labels(scores, labels);
    expect_number(attributes.margin, "margin");
}

}  // namespace

std::vector<TensorType> MultiMargin::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 2);
    expect_operands_of(*this, inputs[0], inputs[1]);
    return {row_type(inputs[0]), row_type(inputs[0])};
}

std::vector<TensorType> MultiMarginBackward::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 3);
    expect_operands_of(*this, inputs[0], inputs[1]);
    expect_gradient_of(inputs[2], row_type(inputs[0]));
    return {inputs[0]};
}

int64_t MultiMargin::index_limit(size_t operand, std::span<const TensorType> inputs) const {
    return operand == 1 ? inputs[0].shape[0] : 0;
}

int64_t MultiMarginBackward::index_limit(size_t operand, std::span<const TensorType> inputs) const {
    return operand == 1 ? inputs[0].shape[0] : 0;
}

// Gradient

std::vector<Value> MultiMargin::gradient(GradientContext& context) const {
    std::vector<Value> result(2);
    if (!context.needed[0] || !context.gradients[0].defined()) return result;
    result[0] = context.add("dscores", std::make_shared<MultiMarginBackward>(*this),
                            {context.inputs[0], context.inputs[1], context.gradients[0]});
    return result;
}

// Lowering

namespace {

// By how much class c comes too close to the label's score; below 0: not at all.
Strict excess(const MarginAttributes& attributes, SoftmaxRow& row, const Expr& label,
              const Expr& c) {
    const Strict wanted(row.score(Halide::clamp(label, 0, row.classes() - 1)));
    return (Strict(attributes.margin) - wanted) + Strict(row.score(c));
}

}  // namespace

std::vector<Expr> MultiMargin::evaluate(SoftmaxRow& row, const std::vector<Func>& operands,
                                        const Expr&) const {
    const Expr label = row.of_row(operands[1]);
    const Strict sum(row.total("excess", [&](const Expr& c) {
        const Strict over = excess(*this, row, label, c);
        return Expr(choose(c == label || over < 0.0F, 0.0F, squared ? over * over : over));
    }));
    return {sum / Strict(row.classes()), choose(row.place() == label, 1.0F, 0.0F)};
}

std::vector<Expr> MultiMarginBackward::evaluate(SoftmaxRow& row, const std::vector<Func>& operands,
                                                const Expr& c) const {
    const Expr label = row.of_row(operands[1]);
    const auto slope = [&](const Expr& k) {
        const Strict over = excess(*this, row, label, k);
        const Strict rise = squared ? over + over : Strict(1.0F);
        return Expr(choose(k != label && over > 0.0F, rise, 0.0F));
    };
    const Strict sum(row.total("slopes", slope));
    const Strict own = choose(c == label, Strict(0.0F) - sum, slope(c));
    return {own / Strict(row.classes()) * Strict(row.of_row(operands[2]))};
}

}  // namespace emulsion
