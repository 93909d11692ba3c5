// Clipping by value, and the factor of clipping by norm.
#include "compiler/ops/clip.h"

#include <fmt/format.h>

#include "compiler/ops/expect.h"
#include "compiler/ops/strict.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Exprs = std::vector<Halide::Expr>;

// Shape

namespace {

void expect_limit(double value, std::string_view name) {
    expect_number(value, name);
    if (value > 0) return;
    fail("attribute", fmt::format("the {} is {}, but must be above 0", name, value),
         "choose a positive number");
}

}  // namespace

std::vector<TensorType> ClipValue::infer(std::span<const TensorType> inputs) const {
    expect_limit(limit, "limit");
    return PointwiseOp::infer(inputs);
}

std::vector<TensorType> ClipFactor::infer(std::span<const TensorType> inputs) const {
    expect_limit(norm, "norm");
    expect_operands(inputs, 1);
    if (inputs[0] != plain_type({})) {
        fail("shape",
             fmt::format("the sum of squares must be f32[], but is {}", to_string(inputs[0])),
             "give it a sum_squares");
    }
    return {inputs[0]};
}

// Lowering

Exprs ClipValue::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    const Strict g(operands[0]), low(-limit), high(limit);
    return {choose(g < low, low, choose(g > high, high, g))};
}

Exprs ClipFactor::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    const Strict size = square_root(Strict(operands[0])), limit(norm);
    return {choose(size > limit, limit / size, Strict(1.0F))};
}

}  // namespace emulsion
