// Activations with an exponential, with two bends, or with a trained slope.
#include "compiler/ops/smooth_activations.h"

#include <fmt/format.h>

#include "compiler/ops/activations.h"
#include "compiler/ops/arithmetic.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/functions.h"
#include "compiler/ops/strict.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Exprs = std::vector<Halide::Expr>;

// Shape

std::vector<TensorType> Elu::infer(std::span<const TensorType> inputs) const {
    expect_number(alpha, "alpha");
    if (alpha < 0) {
        fail("attribute", fmt::format("the alpha is {}, which is negative", alpha),
             "choose an alpha of 0 or more; 1 is usual");
    }
    return PointwiseOp::infer(inputs);
}

// Gradient

std::vector<Value> Elu::gradient(GradientContext& context) const {
    return {context.add("dx", std::make_shared<EluBackward>(alpha),
                        {context.gradients[0], context.outputs[0]})};
}

std::vector<Value> Silu::gradient(GradientContext& context) const {
    return {context.add("dx", std::make_shared<SiluBackward>(),
                        {context.gradients[0], context.inputs[0]})};
}

std::vector<Value> HardSigmoid::gradient(GradientContext& context) const {
    return {context.add("dx", std::make_shared<HardSigmoidBackward>(),
                        {context.gradients[0], context.outputs[0]})};
}

std::vector<Value> HardSwish::gradient(GradientContext& context) const {
    return {context.add("dx", std::make_shared<HardSwishBackward>(),
                        {context.gradients[0], context.inputs[0]})};
}

std::vector<Value> Softplus::gradient(GradientContext& context) const {
    const Value slope = context.add("slope", std::make_shared<Sigmoid>(), {context.inputs[0]});
    return {context.add("dx", std::make_shared<Multiply>(), {context.gradients[0], slope})};
}

std::vector<Value> Gelu::gradient(GradientContext& context) const {
    return {context.add("dx", std::make_shared<GeluBackward>(approximate),
                        {context.gradients[0], context.inputs[0]})};
}

std::vector<Value> Prelu::gradient(GradientContext& context) const {
    std::vector<Value> result(2);
    const Value dy = context.gradients[0], x = context.inputs[0], slope = context.inputs[1];
    if (context.needed[0]) {
        const Value dx = context.add("dx", std::make_shared<PreluBackward>(), {dy, x, slope});
        result[0] = context.reduce_to(dx, context.type(x));
    }
    if (context.needed[1]) {
        const Value parts = context.add("parts", std::make_shared<PreluSlopeBackward>(), {dy, x});
        result[1] = context.reduce_to(parts, context.type(slope));
    }
    return result;
}

// Lowering

namespace {

// 2u of the approximate gelu: 2 sqrt(2 / pi) * (x + 0.044715 x^3).
constexpr double kTwice = 1.59576912160573071, kCubic = 0.044715;

}  // namespace

Expr Elu::value(const Expr& argument) const {
    const Strict x(argument);
    return choose(x > 0.0F, x, Strict(expm1_f32(argument)) * Strict(alpha));
}

Expr EluBackward::value(const Expr& flow, const Expr& result) const {
    const Strict dy(flow), y(result);
    return choose(y > 0.0F, dy, dy * (y + Strict(alpha)));
}

Expr Silu::value(const Expr& x) const { return Strict(x) * Strict(logistic_f32(x)); }

// With s = 1 / (1 + e^-x): s + x s (1 - s).
Expr SiluBackward::value(const Expr& dy, const Expr& argument) const {
    const Strict x(argument), s(logistic_f32(argument));
    return Strict(dy) * (s * (x * (Strict(1.0F) - s) + 1.0F));
}

Expr HardSigmoid::value(const Expr& argument) const {
    const Strict x = Strict(argument) + 3.0F;
    return choose(x < 0.0F, 0.0F, choose(x > 6.0F, 6.0F, x)) / 6.0F;
}

Expr HardSigmoidBackward::value(const Expr& dy, const Expr& result) const {
    const Strict y(result);
    return choose(y > 0.0F && y < 1.0F, Strict(dy) / 6.0F, 0.0F);
}

Expr HardSwish::value(const Expr& argument) const {
    const Strict x(argument), shifted = x + 3.0F;
    const Strict gate = choose(shifted < 0.0F, 0.0F, choose(shifted > 6.0F, 6.0F, shifted));
    return (x * gate) / 6.0F;
}

// 0, (2x + 3) / 6 or 1, below, inside and above -3 … 3.
Expr HardSwishBackward::value(const Expr& flow, const Expr& argument) const {
    const Strict dy(flow), x(argument);
    const Strict inside = dy * ((x + x + 3.0F) / 6.0F);
    return choose(x < -3.0F, 0.0F, choose(x > 3.0F, dy, inside));
}

// max(x, 0) + log(1 + e^-|x|)
Expr Softplus::value(const Expr& argument) const {
    const Strict x(argument), negative = Strict(0.0F) - Strict(Halide::abs(argument));
    return choose(x < 0.0F, 0.0F, x) + Strict(log1p_f32(exp_f32(negative)));
}

Expr Gelu::value(const Expr& argument) const {
    const Strict x(argument);
    if (!approximate) return x * Strict(normal_f32(argument).below);
    const Strict inner = x * (x * x * Strict(kCubic) + 1.0F);
    return x * Strict(logistic_f32(inner * Strict(kTwice)));
}

// With the share s below and the density d: s + x d; of the approximate form s + x s (1 - s) 2u'.
Expr GeluBackward::value(const Expr& flow, const Expr& argument) const {
    const Strict dy(flow), x(argument);
    if (!approximate) {
        const NormalAt normal = normal_f32(argument);
        return dy * (x * Strict(normal.density) + Strict(normal.below));
    }
    const Strict square = x * x;
    const Strict s(logistic_f32((x * (square * Strict(kCubic) + 1.0F)) * Strict(kTwice)));
    const Strict slope = (square * Strict(3 * kCubic) + 1.0F) * Strict(kTwice);
    return dy * (s * ((x * slope) * (Strict(1.0F) - s) + 1.0F));
}

Expr Prelu::value(const Expr& argument, const Expr& slope) const {
    const Strict x(argument);
    return choose(x > 0.0F, x, x * Strict(slope));
}

Exprs PreluBackward::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    const Strict dy(operands[0]);
    return {choose(Strict(operands[1]) > 0.0F, dy, dy * Strict(operands[2]))};
}

Expr PreluSlopeBackward::value(const Expr& dy, const Expr& argument) const {
    const Strict x(argument);
    return choose(x > 0.0F, 0.0F, Strict(dy) * x);
}

}  // namespace emulsion
