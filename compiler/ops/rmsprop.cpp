// RMSProp.
#include "compiler/ops/rmsprop.h"

#include "compiler/ops/expect.h"
#include "compiler/ops/strict.h"
#include "compiler/ops/update.h"

namespace emulsion {

// Shape

std::vector<TensorType> RmspropUpdate::infer(std::span<const TensorType> inputs) const {
    expect_scalars(scalars);
    const auto count = static_cast<size_t>(tensors());
    expect_update(inputs, count + 1, static_cast<size_t>(scalars));
    expect_number(rho, "rho");
    expect_epsilon(epsilon);
    expect_number(momentum, "momentum");
    expect_number(weight_decay, "weight decay");
    return std::vector<TensorType>(count, inputs[0]);
}

// Lowering

std::vector<Halide::Expr> RmspropUpdate::evaluate(const LowerContext&,
                                                  const std::vector<Halide::Expr>& operands,
                                                  const std::vector<Halide::Expr>&) const {
    const Strict w(operands[0]), s(operands[2]), rate(operands.back()), eps(epsilon), rest(1 - rho),
        zero(0.0F);
    const Strict d = decayed(operands[1], w, weight_decay);
    Strict spread = s + (d * d - s) * rest;
    std::vector<Halide::Expr> next = {w, spread};
    if (centered) {
        const Strict a(operands[3]), a_next = a + (d - a) * rest;
        next.push_back(a_next);
        spread = spread - a_next * a_next;
        spread = choose(spread < zero, zero, spread);
    }
    Strict step = d / (inside ? square_root(spread + eps) : square_root(spread) + eps);
    if (has_momentum()) {
        const size_t at = operands.size() - 1 - static_cast<size_t>(scalars);  // of the buffer
        const Strict beta = scalars == 2 ? Strict(operands[at + 1]) : Strict(momentum);
        step = Strict(operands[at]) * beta + step;
        next.push_back(step);
    }
    next[0] = w - rate * step;
    return next;
}

}  // namespace emulsion
