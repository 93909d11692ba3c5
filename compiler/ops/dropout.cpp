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
using Halide::Func;
using Halide::Var;

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

namespace {

constexpr const char* kDrawn = "__drawn";

Expr multiplied(const Expr& x, const Expr& kept) {
    return choose(kept != 0.0F, Strict(x) * Strict(kept), 0.0F);
}

}  // namespace

Expr Dropout::kept(const std::vector<Expr>& operands, const Expr& element) const {
    const Expr random = random_words(operands, element, site)[0];
    const auto threshold = static_cast<uint32_t>(std::ldexp(rate, 32));
    return Halide::select(random >= Expr(threshold), static_cast<float>(1 / (1 - rate)), 0.0F);
}

std::vector<Expr> Dropout::evaluate(const LowerContext& context, const std::vector<Expr>& operands,
                                    const std::vector<Expr>& at) const {
    return {multiplied(operands[0], kept(operands, element_number(context.outputs[0], at)))};
}

std::vector<Func> SpatialDropout::lower(const LowerContext& context,
                                        const std::vector<Func>& inputs) const {
    const TensorType& type = context.outputs[0];
    const std::vector<Var> at = coordinates(type);
    const Var c = at.front(), n = at.back();
    std::vector<Expr> operands = {0.0F};
    for (size_t i = 1; i < inputs.size(); i++) operands.push_back(inputs[i]());
    Func drawn(context.name + kDrawn), out(context.name);
    drawn(c, n) = kept(operands, n * to_int(type.shape[0]) + c);
    out(at) = multiplied(inputs[0](at), drawn(c, n));
    return {out};
}

bool SpatialDropout::is_drawn(const Func& func) {
    return func.name().find(kDrawn) != std::string::npos;
}

}  // namespace emulsion
