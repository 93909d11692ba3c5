// The gradient of the L1 penalty.
#include "compiler/ops/l1_penalty.h"

#include "compiler/ops/expect.h"
#include "compiler/ops/strict.h"
#include "compiler/ops/update.h"

namespace emulsion {

// Shape

std::vector<TensorType> L1Penalty::infer(std::span<const TensorType> inputs) const {
    expect_update(inputs, 2, 0);
    expect_number(factor, "factor");
    return {inputs[0]};
}

// Lowering

std::vector<Halide::Expr> L1Penalty::evaluate(const LowerContext&,
                                              const std::vector<Halide::Expr>& operands,
                                              const std::vector<Halide::Expr>&) const {
    const Strict g(operands[0]), w(operands[1]), zero(0.0F);
    const Strict pull = choose(w > zero, Strict(factor), choose(w < zero, Strict(-factor), zero));
    return {g + pull};
}

}  // namespace emulsion
