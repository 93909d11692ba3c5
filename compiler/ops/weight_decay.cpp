// Weight decay by a factor that is an operand.
#include "compiler/ops/weight_decay.h"

#include "compiler/ops/strict.h"
#include "compiler/ops/update.h"

namespace emulsion {

using Exprs = std::vector<Halide::Expr>;

// Shape

std::vector<TensorType> L2Penalty::infer(std::span<const TensorType> inputs) const {
    expect_update(inputs, 2, 1);
    return {inputs[0]};
}

std::vector<TensorType> DecayWeights::infer(std::span<const TensorType> inputs) const {
    expect_update(inputs, 2, 2);
    return {inputs[0]};
}

// Lowering

Exprs L2Penalty::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    return {Strict(operands[0]) + Strict(operands[1]) * Strict(operands[2])};
}

Exprs DecayWeights::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    const Strict pull = Strict(operands[2]) * Strict(operands[3]) * Strict(operands[1]);
    return {Strict(operands[0]) - pull};
}

}  // namespace emulsion
