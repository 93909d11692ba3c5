// Stochastic gradient descent, plain and with momentum.
#include "compiler/ops/sgd.h"

#include <fmt/format.h>

#include "compiler/ops/expect.h"
#include "compiler/ops/strict.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Exprs = std::vector<Halide::Expr>;

// Shape

void expect_update(std::span<const TensorType> inputs, size_t tensors, size_t scalars) {
    expect_operands(inputs, tensors + scalars);
    expect_f32(inputs[0], "parameter");
    if (inputs[0].batched) {
        fail("shape", fmt::format("the parameter is {}, one for each sample", to_string(inputs[0])),
             "update parameters only");
    }
    for (const TensorType& type : inputs.subspan(1, tensors - 1))
        expect_gradient_of(type, inputs[0]);
    for (const TensorType& type : inputs.subspan(tensors)) {
        if (type == plain_type({})) continue;
        fail("shape", fmt::format("a rate must be f32[], but is {}", to_string(type)),
             "give it a scalar");
    }
}

std::vector<TensorType> SgdPlain::infer(std::span<const TensorType> inputs) const {
    expect_update(inputs, 2, 1);
    expect_number(weight_decay, "weight decay");
    return {inputs[0]};
}

std::vector<TensorType> SgdUpdate::infer(std::span<const TensorType> inputs) const {
    expect_update(inputs, 3, 1);
    expect_number(momentum, "momentum");
    expect_number(weight_decay, "weight decay");
    return {inputs[0], inputs[0]};
}

// Lowering

namespace {

Strict decayed(const Strict& gradient, const Strict& w, double weight_decay) {
    return weight_decay == 0 ? gradient : gradient + w * Strict(weight_decay);
}

}  // namespace

Exprs SgdPlain::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    const Strict w(operands[0]), rate(operands[2]);
    return {w - rate * decayed(operands[1], w, weight_decay)};
}

Exprs SgdUpdate::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    const Strict w(operands[0]), m(operands[2]), rate(operands[3]), beta(momentum);
    Strict d = decayed(operands[1], w, weight_decay);
    if (damped) d = d * Strict(1 - momentum);
    const Strict next = m * beta + d;
    const Strict step = nesterov ? next * beta + d : next;
    return {w - rate * step, next};
}

}  // namespace emulsion
