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
    expect_operands(inputs, 5);
    expect_f32(inputs[0], "input");
    for (const TensorType& type : inputs.subspan(1)) {
        if (type != plain_type({}, ElementType::i32)) {
            fail("element",
                 fmt::format("seed and step must be i32[], but one is {}", to_string(type)),
                 "give it the scalars seed_low, seed_high, step_low and step_high");
        }
    }
    if (!(rate >= 0 && rate < 1)) {
        fail("rate", fmt::format("the rate is {}, but must be at least 0 and below 1", rate),
             "give the share of values to drop, for example 0.5");
    }
    return {inputs[0]};
}

// Gradient

std::vector<Value> Dropout::gradient(GradientContext& context) const {
    std::vector<Value> result(5);
    std::vector<Value> operands = context.inputs;
    operands[0] = context.gradients[0];
    if (context.needed[0])
        result[0] = context.add("dx", std::make_shared<Dropout>(*this), operands);
    return result;
}

// Lowering

std::vector<Expr> Dropout::evaluate(const LowerContext& context, const std::vector<Expr>& operands,
                                    const std::vector<Expr>& at) const {
    const std::vector<int64_t> extents = memory_extents(context.outputs[0]);
    Expr element = 0;
    for (size_t i = at.size(); i-- > 0;) {
        element = i < extents.size() ? element * to_int(extents[i]) + at[i] : at[i];
    }
    auto bits = [](const Expr& value) { return Halide::cast<uint32_t>(value); };
    const Expr random = philox(
        {bits(element), Expr(static_cast<uint32_t>(site)), bits(operands[3]), bits(operands[4])},
        {bits(operands[1]), bits(operands[2])})[0];
    const auto threshold = static_cast<uint32_t>(std::ldexp(rate, 32));
    return {choose(random >= Expr(threshold), Strict(operands[0]) * Strict(1 / (1 - rate)), 0.0F)};
}

}  // namespace emulsion
