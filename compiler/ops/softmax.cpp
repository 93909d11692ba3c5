// Softmax over the classes of a sample or of a pixel, and its logarithm.
#include "compiler/ops/softmax.h"

#include "compiler/ops/arithmetic.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/reduce.h"
#include "compiler/ops/strict.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;

// Shape

std::vector<TensorType> Softmax::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_scores(inputs[0], "input");
    return {inputs[0]};
}

std::vector<TensorType> LogSoftmax::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_scores(inputs[0], "input");
    return {inputs[0]};
}

// Gradient

namespace {

// The sum of the row of `x`, which can be combined with x again.
Value sum_of_row(GradientContext& context, std::string_view name, Value x) {
    if (context.type(x).shape.size() > 1) {
        auto sum = std::make_shared<ReduceAxes>();
        sum->axes = {0};
        return context.add(name, sum, {x});
    }
    auto sum = std::make_shared<Reduce>();
    sum->keep_samples = true;
    return context.add(name, sum, {x});
}

}  // namespace

// dx = y * (dy - sum over c of dy * y)
std::vector<Value> Softmax::gradient(GradientContext& context) const {
    const Value y = context.outputs[0];
    const Value dy = context.gradients[0];
    const Value products = context.add("products", std::make_shared<Multiply>(), {dy, y});
    const Value dot = sum_of_row(context, "dot", products);
    const Value centered = context.add("centered", std::make_shared<Subtract>(), {dy, dot});
    return {context.add("dx", std::make_shared<Multiply>(), {centered, y})};
}

// dx = dy - softmax(x) * sum over c of dy
std::vector<Value> LogSoftmax::gradient(GradientContext& context) const {
    const Value dy = context.gradients[0];
    const Value sum = sum_of_row(context, "sum", dy);
    const Value y = context.add("softmax", std::make_shared<Softmax>(), {context.inputs[0]});
    const Value share = context.add("share", std::make_shared<Multiply>(), {y, sum});
    return {context.add("dx", std::make_shared<Subtract>(), {dy, share})};
}

// Lowering

std::vector<Expr> Softmax::evaluate(SoftmaxRow& row, const std::vector<Func>&,
                                    const Expr& c) const {
    return {row.probability(c)};
}

std::vector<Expr> LogSoftmax::evaluate(SoftmaxRow& row, const std::vector<Func>&,
                                       const Expr& c) const {
    return {(Strict(row.score(c)) - Strict(row.top())) - Strict(log_f32(row.sum()))};
}

}  // namespace emulsion
