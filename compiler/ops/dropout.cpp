// Dropout by a counter-based generator.
#include "compiler/ops/dropout.h"

#include <fmt/format.h>

#include <cmath>

#include "compiler/graph/limits.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/philox.h"
#include "compiler/ops/strict.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;

// Shape

std::vector<TensorType> Dropout::infer(std::span<const TensorType> inputs) const {
    expect_random_operands(inputs);
    if (!(rate >= 0 && rate < 1)) {
        fail("rate", fmt::format("the rate is {}, but must be at least 0 and below 1", rate),
             "give the share of values to drop, for example 0.5");
    }
    return {inputs[0]};
}

std::vector<TensorType> SpatialDropout::infer(std::span<const TensorType> inputs) const {
    const std::vector<TensorType> types = Dropout::infer(inputs);
    expect_channels(inputs[0], "input");
    return types;
}

// Gradient

std::vector<Value> Dropout::gradient(GradientContext& context) const {
    std::vector<Value> result(5);
    std::vector<Value> operands = context.inputs;
    operands[0] = context.gradients[0];
    if (context.needed[0]) result[0] = context.add("dx", copy(), operands);
    return result;
}

// Lowering

Expr Dropout::element(const TensorType& type, const std::vector<Expr>& at) const {
    return element_number(type, at);
}

Expr SpatialDropout::element(const TensorType& type, const std::vector<Expr>& at) const {
    return at.back() * to_int(type.shape[0]) + at.front();
}

std::vector<Expr> Dropout::evaluate(const LowerContext& context, const std::vector<Expr>& operands,
                                    const std::vector<Expr>& at) const {
    const Expr random = random_words(operands, element(context.outputs[0], at), site)[0];
    const auto threshold = static_cast<uint32_t>(std::ldexp(rate, 32));
    return {choose(random >= Expr(threshold), Strict(operands[0]) * Strict(1 / (1 - rate)), 0.0F)};
}

}  // namespace emulsion
