// Gradients of bounded size.
//
// clip_value(g) {limit} -> each value, or the end of -limit .. limit that it lies beyond. A NaN
// stays.
//
// clip_factor(s) {norm} -> what gradients are multiplied by whose squares sum up to s: 1, or norm /
// sqrt(s) where their norm sqrt(s) is larger; 0 where s is infinite. s and the factor are f32[].
//
// Both stand between gradient and update, and have no gradient themselves.
#pragma once

#include "compiler/ops/lowering.h"

namespace emulsion {

class ClipValue : public PointwiseOp {
  public:
    std::string_view kind() const override { return "clip_value"; }
    void fields(Fields& f) override { f.field("limit", limit); }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    double limit = 1;

  protected:
    int arity() const override { return 1; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

class ClipFactor : public PointwiseOp {
  public:
    std::string_view kind() const override { return "clip_factor"; }
    void fields(Fields& f) override { f.field("norm", norm); }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    double norm = 1;

  protected:
    int arity() const override { return 1; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

}  // namespace emulsion
