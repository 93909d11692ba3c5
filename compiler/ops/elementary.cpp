// Elementary functions; gradients are arithmetic on the function's own result where that saves a
// second polynomial.
#include "compiler/ops/elementary.h"

#include "compiler/ops/arithmetic.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/functions.h"
#include "compiler/ops/strict.h"

namespace emulsion {

using Halide::Expr;

// Shape

std::vector<TensorType> Power::infer(std::span<const TensorType> inputs) const {
    expect_number(exponent, "exponent");
    return PointwiseOp::infer(inputs);
}

std::vector<TensorType> Reciprocal::infer(std::span<const TensorType> inputs) const {
    expect_number(numerator, "numerator");
    return PointwiseOp::infer(inputs);
}

// Gradient

std::vector<Value> Exp::gradient(GradientContext& context) const {
    return {context.add("dx", std::make_shared<Multiply>(),
                        {context.gradients[0], context.outputs[0]})};
}

std::vector<Value> Log::gradient(GradientContext& context) const {
    return {
        context.add("dx", std::make_shared<Divide>(), {context.gradients[0], context.inputs[0]})};
}

std::vector<Value> Sqrt::gradient(GradientContext& context) const {
    const Value half = context.add("half", std::make_shared<Scale>(0.5), {context.gradients[0]});
    return {context.add("dx", std::make_shared<Divide>(), {half, context.outputs[0]})};
}

std::vector<Value> Abs::gradient(GradientContext& context) const {
    return {context.add("dx", std::make_shared<AbsBackward>(),
                        {context.gradients[0], context.inputs[0]})};
}

std::vector<Value> Power::gradient(GradientContext& context) const {
    const Value dy = context.gradients[0];
    const Value scaled = context.add("scaled", std::make_shared<Scale>(exponent), {dy});
    if (exponent == 0 || exponent == 1) return {scaled};
    const Value slope =
        context.add("slope", std::make_shared<Power>(exponent - 1), {context.inputs[0]});
    return {context.add("dx", std::make_shared<Multiply>(), {scaled, slope})};
}

// -dy * y / x
std::vector<Value> Reciprocal::gradient(GradientContext& context) const {
    const Value negated =
        context.add("negated", std::make_shared<Negate>(), {context.gradients[0]});
    const Value product =
        context.add("product", std::make_shared<Multiply>(), {negated, context.outputs[0]});
    return {context.add("dx", std::make_shared<Divide>(), {product, context.inputs[0]})};
}

// Lowering

Expr Exp::value(const Expr& x) const { return exp_f32(x); }

// The two ends come out of divisions: a literal infinity is no constant that kernels may hold.
Expr Log::value(const Expr& argument) const {
    constexpr float kSmallest = 1.17549435e-38F;
    const Strict x(argument), zero = x - x;
    const Expr is_small = x < kSmallest, is_negative = x < 0.0F;
    const Strict end = choose(is_negative, zero, -1.0F) / zero;
    return choose(is_small, end, Strict(log_f32(argument)));
}

Expr Sqrt::value(const Expr& x) const { return square_root(Strict(x)); }

Expr Abs::value(const Expr& x) const { return Halide::abs(x); }

Expr Power::value(const Expr& x) const { return power_f32(x, exponent); }

Expr Reciprocal::value(const Expr& x) const { return Strict(numerator) / Strict(x); }

Expr AbsBackward::value(const Expr& flow, const Expr& argument) const {
    const Strict dy(flow), x(argument);
    return choose(x > 0.0F, dy, choose(x < 0.0F, Strict(0.0F) - dy, 0.0F));
}

}  // namespace emulsion
