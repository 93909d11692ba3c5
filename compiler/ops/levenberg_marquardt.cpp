// Stochastic diagonal Levenberg-Marquardt.
#include "compiler/ops/levenberg_marquardt.h"

#include "compiler/ops/expect.h"
#include "compiler/ops/strict.h"
#include "compiler/ops/update.h"

namespace emulsion {

// Shape

std::vector<TensorType> LevenbergMarquardtUpdate::infer(std::span<const TensorType> inputs) const {
    expect_update(inputs, 3, 2);
    expect_epsilon(damping);
    expect_number(weight_decay, "weight decay");
    return {inputs[0]};
}

// Lowering

std::vector<Halide::Expr> LevenbergMarquardtUpdate::evaluate(
    const LowerContext&, const std::vector<Halide::Expr>& operands,
    const std::vector<Halide::Expr>&) const {
    const Strict w(operands[0]), h(operands[2]), correction(operands[3]), rate(operands[4]);
    const Strict d = decayed(operands[1], w, weight_decay);
    return {w - rate * (d / (h / correction + Strict(weight_decay + damping)))};
}

}  // namespace emulsion
