// The pointwise parts of batch normalisation.
#include "compiler/ops/batch_norm_parts.h"

#include <fmt/format.h>

#include "compiler/ops/arithmetic.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/moments.h"
#include "compiler/ops/sources.h"
#include "compiler/ops/strict.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Exprs = std::vector<Halide::Expr>;

// Shape

std::vector<TensorType> BatchNormFactor::infer(std::span<const TensorType> inputs) const {
    expect_epsilon(epsilon);
    return PointwiseOp::infer(inputs);
}

std::vector<TensorType> BatchNormCoefficients::infer(std::span<const TensorType> inputs) const {
    expect_epsilon(epsilon);
    return PointwiseOp::infer(inputs);
}

std::vector<TensorType> BatchNormFold::infer(std::span<const TensorType> inputs) const {
    expect_epsilon(epsilon);
    return PointwiseOp::infer(inputs);
}

std::vector<TensorType> RunningAverage::infer(std::span<const TensorType> inputs) const {
    expect_number(momentum, "momentum");
    return PointwiseOp::infer(inputs);
}

std::vector<TensorType> Normalize::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 4);
    expect_normalizable(inputs[0]);
    for (const TensorType& type : inputs.subspan(1)) expect_statistics(type, inputs[0]);
    return {inputs[0]};
}

std::vector<TensorType> BatchNormBackward::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 6);
    expect_normalizable(inputs[1]);
    expect_gradient_of(inputs[0], inputs[1]);
    for (const TensorType& type : inputs.subspan(2)) expect_statistics(type, inputs[1]);
    return {inputs[1]};
}

std::vector<TensorType> ScaleFilter::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 2);
    expect_f32(inputs[0], "filter");
    if (inputs[0].batched || inputs[0].shape.empty()) {
        fail(
            "rank",
            fmt::format("the filter must be a parameter (out, …), but is {}", to_string(inputs[0])),
            "give it weights first and their scales second");
    }
    const TensorType scale = plain_type({inputs[0].shape[0]});
    if (inputs[1] != scale) {
        fail("channels",
             fmt::format("{} has {} filters, but the scale is {}", to_string(inputs[0]),
                         inputs[0].shape[0], to_string(inputs[1])),
             fmt::format("give it {}", to_string(scale)));
    }
    return {inputs[0]};
}

// Gradient

std::vector<Value> ScaleShift::gradient(GradientContext& context) const {
    std::vector<Value> result(3);
    const Value dy = context.gradients[0];
    for (size_t i = 0; i < 2; i++) {
        if (!context.needed[i]) continue;
        const Value product = context.add(i == 0 ? "dx" : "dscale", std::make_shared<Multiply>(),
                                          {dy, context.inputs[1 - i]});
        result[i] = context.reduce_to(product, context.type(context.inputs[i]));
    }
    if (context.needed[2]) result[2] = context.reduce_to(dy, context.type(context.inputs[2]));
    return result;
}

// Lowering

Exprs BatchNormFactor::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    return {Strict(operands[0]) / square_root(Strict(operands[1]) + Strict(epsilon))};
}

Exprs Normalize::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    const Strict x(operands[0]), mean(operands[1]), factor(operands[2]), beta(operands[3]);
    return {(x - mean) * factor + beta};
}

Exprs BatchNormCoefficients::evaluate(const LowerContext& context, const Exprs& operands,
                                      const Exprs&) const {
    const Strict gamma(operands[0]), variance(operands[1]), sum(operands[2]), dot(operands[3]);
    const Strict total = Strict(samples_f32(context)) * Strict(static_cast<float>(count));
    const Strict inverse = Strict(1.0F) / square_root(variance + Strict(epsilon));
    const Strict a = gamma * inverse;
    const Strict b = Strict(0.0F) - a * inverse * inverse * dot / total;
    const Strict c = Strict(0.0F) - a * sum / total;
    return {a, b, c, dot * inverse};
}

Exprs BatchNormBackward::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    const Strict dy(operands[0]), x(operands[1]), mean(operands[2]);
    const Strict a(operands[3]), b(operands[4]), c(operands[5]);
    return {a * dy + (b * (x - mean) + c)};
}

Exprs RunningAverage::evaluate(const LowerContext& context, const Exprs& operands,
                               const Exprs&) const {
    const Strict running(operands[0]);
    Strict batch(operands[1]);
    if (unbiased) {
        const Strict total = Strict(samples_f32(context)) * Strict(static_cast<float>(count));
        batch = choose(total > 1.0F, batch * (total / (total - 1.0F)), batch);
    }
    return {running * Strict(1.0 - momentum) + batch * Strict(momentum)};
}

Exprs ScaleShift::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    return {Strict(operands[0]) * Strict(operands[1]) + Strict(operands[2])};
}

Exprs BatchNormFold::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    const Strict gamma(operands[0]), beta(operands[1]), mean(operands[2]), variance(operands[3]);
    const Strict scale = gamma / square_root(variance + Strict(epsilon));
    return {scale, beta - mean * scale};
}

Exprs ScaleFilter::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    return {Strict(operands[0]) * Strict(operands[1])};
}

}  // namespace emulsion
