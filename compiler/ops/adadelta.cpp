// AdaDelta.
#include "compiler/ops/adadelta.h"

#include "compiler/ops/expect.h"
#include "compiler/ops/strict.h"
#include "compiler/ops/update.h"

namespace emulsion {

// Shape

std::vector<TensorType> AdadeltaUpdate::infer(std::span<const TensorType> inputs) const {
    expect_update(inputs, 4, 1);
    expect_number(rho, "rho");
    expect_epsilon(epsilon);
    expect_number(weight_decay, "weight decay");
    return {inputs[0], inputs[0], inputs[0]};
}

// Lowering

std::vector<Halide::Expr> AdadeltaUpdate::evaluate(const LowerContext&,
                                                   const std::vector<Halide::Expr>& operands,
                                                   const std::vector<Halide::Expr>&) const {
    const Strict w(operands[0]), s(operands[2]), u(operands[3]), rate(operands[4]), eps(epsilon),
        rest(1 - rho);
    const Strict d = decayed(operands[1], w, weight_decay);
    const Strict s_next = s + (d * d - s) * rest;
    const Strict step = square_root(u + eps) / square_root(s_next + eps) * d;
    return {w - rate * step, s_next, u + (step * step - u) * rest};
}

}  // namespace emulsion
