// l1_penalty(g, w) {factor} -> g + factor * sign(w): the gradient with that of factor * |w|, the
// sign of 0 being 0. Both operands have the type of the weights w.
#pragma once

#include "compiler/ops/lowering.h"

namespace emulsion {

class L1Penalty : public PointwiseOp {
  public:
    std::string_view kind() const override { return "l1_penalty"; }
    void fields(Fields& f) override { f.field("factor", factor); }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    double factor = 0;

  protected:
    int arity() const override { return 2; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

}  // namespace emulsion
