// Normal random numbers added to values.
#include "compiler/ops/gaussian_noise.h"

#include <fmt/format.h>

#include "compiler/ops/expect.h"
#include "compiler/ops/functions.h"
#include "compiler/ops/philox.h"
#include "compiler/ops/strict.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;

// Shape

std::vector<TensorType> GaussianNoise::infer(std::span<const TensorType> inputs) const {
    expect_random_operands(inputs);
    expect_number(deviation, "deviation");
    if (deviation < 0) {
        fail("attribute", fmt::format("the deviation is {}, which is negative", deviation),
             "choose a deviation of 0 or more");
    }
    return {inputs[0]};
}

// Gradient

std::vector<Value> GaussianNoise::gradient(GradientContext& context) const {
    std::vector<Value> result(5);
    result[0] = context.gradients[0];
    return result;
}

// Lowering

std::vector<Expr> GaussianNoise::evaluate(const LowerContext& context,
                                          const std::vector<Expr>& operands,
                                          const std::vector<Expr>& at) const {
    constexpr float kStep = 5.9604644775390625e-8F;  // 2^-24
    const std::array<Expr, 4> words =
        random_words(operands, element_number(context.outputs[0], at), site);
    // The upper 24 bits of a word, which floats hold exactly.
    const auto bits = [&](size_t i) {
        return Strict(Halide::cast<float>(Halide::cast<int32_t>(words[i] >> 8)));
    };
    const Strict u = bits(0) * kStep + 0.5F * kStep, v = bits(1) * kStep - 0.5F;
    const Strict radius = square_root(Strict(log_f32(u)) * -2.0F);
    const Strict number = radius * Strict(cosine_of_turns_f32(v));
    return {Strict(operands[0]) + number * Strict(deviation)};
}

}  // namespace emulsion
