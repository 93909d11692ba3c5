// Activations and their backwards. Comparisons are strict, so a NaN passes through every activation
// on every target and reaches the test of the loss.
#include "compiler/ops/activations.h"

#include <fmt/format.h>

#include "compiler/ops/expect.h"
#include "compiler/ops/strict.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Exprs = std::vector<Halide::Expr>;

// Shape

std::vector<TensorType> LeakyRelu::infer(std::span<const TensorType> inputs) const {
    expect_number(slope, "slope");
    if (slope < 0) {
        fail("slope", fmt::format("the slope is {}, which is negative", slope),
             "choose a slope of 0 or more; 0.01 is usual");
    }
    return PointwiseOp::infer(inputs);
}

// Gradient

std::vector<Value> Relu::gradient(GradientContext& context) const {
    return {context.add("dx", std::make_shared<ReluBackward>(),
                        {context.gradients[0], context.outputs[0]})};
}

std::vector<Value> Relu6::gradient(GradientContext& context) const {
    return {context.add("dx", std::make_shared<Relu6Backward>(),
                        {context.gradients[0], context.outputs[0]})};
}

std::vector<Value> LeakyRelu::gradient(GradientContext& context) const {
    return {context.add("dx", std::make_shared<LeakyReluBackward>(slope),
                        {context.gradients[0], context.outputs[0]})};
}

std::vector<Value> Tanh::gradient(GradientContext& context) const {
    return {context.add("dx", std::make_shared<TanhBackward>(),
                        {context.gradients[0], context.outputs[0]})};
}

std::vector<Value> Sigmoid::gradient(GradientContext& context) const {
    return {context.add("dx", std::make_shared<SigmoidBackward>(),
                        {context.gradients[0], context.outputs[0]})};
}

// Lowering

Exprs Relu::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    const Strict x(operands[0]);
    return {choose(x < 0.0F, 0.0F, x)};
}

Exprs Relu6::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    const Strict x(operands[0]);
    return {choose(x < 0.0F, 0.0F, choose(x > 6.0F, 6.0F, x))};
}

Exprs LeakyRelu::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    const Strict x(operands[0]);
    return {choose(x > 0.0F, x, x * Strict(slope))};
}

Exprs Tanh::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    return {tanh_f32(operands[0])};
}

Exprs Sigmoid::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    return {logistic_f32(operands[0])};
}

Exprs ReluBackward::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    return {choose(Strict(operands[1]) > 0.0F, operands[0], 0.0F)};
}

Exprs Relu6Backward::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    const Strict y(operands[1]);
    return {choose(y > 0.0F && y < 6.0F, operands[0], 0.0F)};
}

Exprs LeakyReluBackward::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    const Strict dy(operands[0]);
    return {choose(Strict(operands[1]) > 0.0F, dy, dy * Strict(slope))};
}

Exprs TanhBackward::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    const Strict dy(operands[0]), y(operands[1]);
    return {dy * (Strict(1.0F) - y * y)};
}

Exprs SigmoidBackward::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    const Strict dy(operands[0]), y(operands[1]);
    return {dy * (y * (Strict(1.0F) - y))};
}

}  // namespace emulsion
