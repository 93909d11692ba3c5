// Gumbel random numbers added to values.
#include "compiler/ops/gumbel_noise.h"

#include "compiler/ops/philox.h"
#include "compiler/ops/strict.h"

namespace emulsion {

using Halide::Expr;

// Shape

std::vector<TensorType> GumbelNoise::infer(std::span<const TensorType> inputs) const {
    expect_random_operands(inputs);
    return {inputs[0]};
}

// Gradient

std::vector<Value> GumbelNoise::gradient(GradientContext& context) const {
    std::vector<Value> result(5);
    result[0] = context.gradients[0];
    return result;
}

// Lowering

std::vector<Expr> GumbelNoise::evaluate(const LowerContext& context,
                                        const std::vector<Expr>& operands,
                                        const std::vector<Expr>& at) const {
    constexpr float kStep = 1.1920928955078125e-7F;  // 2^-23
    const Expr word = random_words(operands, element_number(context.outputs[0], at), site)[0];
    // The upper 23 bits, so that a float holds the middle of a step.
    const Strict bits(Halide::cast<float>(Halide::cast<int32_t>(word >> 9)));
    const Strict u = (bits + 0.5F) * kStep;
    const Strict surprise = Strict(0.0F) - Strict(log_f32(u));
    return {Strict(operands[0]) - Strict(log_f32(surprise))};
}

}  // namespace emulsion
