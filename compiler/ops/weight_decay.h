// Weight decay whose factor is an operand, a scalar as the rate is; all else has the type of the
// weights w.
//
//     l2_penalty(g, w, factor) -> g + factor * w                  the gradient with the penalty's
//     decay_weights(next, w, rate, factor) -> next - rate * factor * w      apart from the gradient
#pragma once

#include "compiler/ops/lowering.h"

namespace emulsion {

class L2Penalty : public PointwiseOp {
  public:
    std::string_view kind() const override { return "l2_penalty"; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;

  protected:
    int arity() const override { return 3; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

class DecayWeights : public PointwiseOp {
  public:
    std::string_view kind() const override { return "decay_weights"; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;

  protected:
    int arity() const override { return 4; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

}  // namespace emulsion
