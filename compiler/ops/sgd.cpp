// Stochastic gradient descent, plain and with momentum.
#include "compiler/ops/sgd.h"

#include "compiler/ops/expect.h"
#include "compiler/ops/strict.h"
#include "compiler/ops/update.h"

namespace emulsion {

using Halide::Expr;
using Exprs = std::vector<Halide::Expr>;

// Shape

std::vector<TensorType> SgdPlain::infer(std::span<const TensorType> inputs) const {
    expect_update(inputs, 2, 1);
    expect_number(weight_decay, "weight decay");
    return {inputs[0]};
}

std::vector<TensorType> SgdUpdate::infer(std::span<const TensorType> inputs) const {
    expect_scalars(scalars);
    expect_update(inputs, 3, static_cast<size_t>(scalars));
    expect_number(momentum, "momentum");
    expect_number(weight_decay, "weight decay");
    return {inputs[0], inputs[0]};
}

// Lowering

Exprs SgdPlain::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    const Strict w(operands[0]), rate(operands[2]);
    return {w - rate * decayed(operands[1], w, weight_decay)};
}

Exprs SgdUpdate::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    const Strict w(operands[0]), m(operands[2]), rate(operands.back());
    const Strict beta = scalars == 2 ? Strict(operands[3]) : Strict(momentum);
    Strict d = decayed(operands[1], w, weight_decay);
    if (damped) d = d * (scalars == 2 ? Strict(1.0F) - beta : Strict(1 - momentum));
    const Strict next = m * beta + d;
    const Strict step = nesterov ? next * beta + d : next;
    return {w - rate * step, next};
}

}  // namespace emulsion
