// AdaGrad.
#include "compiler/ops/adagrad.h"

#include "compiler/ops/expect.h"
#include "compiler/ops/strict.h"
#include "compiler/ops/update.h"

namespace emulsion {

// Shape

std::vector<TensorType> AdagradUpdate::infer(std::span<const TensorType> inputs) const {
    expect_update(inputs, 3, 1);
    expect_epsilon(epsilon);
    expect_number(weight_decay, "weight decay");
    return {inputs[0], inputs[0]};
}

// Lowering

std::vector<Halide::Expr> AdagradUpdate::evaluate(const LowerContext&,
                                                  const std::vector<Halide::Expr>& operands,
                                                  const std::vector<Halide::Expr>&) const {
    const Strict w(operands[0]), s(operands[2]), rate(operands[3]);
    const Strict d = decayed(operands[1], w, weight_decay);
    const Strict next = s + d * d;
    return {w - rate * (d / (square_root(next) + Strict(epsilon))), next};
}

}  // namespace emulsion
