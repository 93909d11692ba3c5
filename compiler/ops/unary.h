// Bases of pointwise ops of one operand, and of two: what most backwards are, of dy and one more.
#pragma once

#include "compiler/ops/lowering.h"

namespace emulsion {

class UnaryOp : public PointwiseOp {
  protected:
    virtual Halide::Expr value(const Halide::Expr& x) const = 0;

  private:
    int arity() const final { return 1; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>&) const final {
        return {value(operands[0])};
    }
};

class BinaryOp : public PointwiseOp {
  protected:
    virtual Halide::Expr value(const Halide::Expr& a, const Halide::Expr& b) const = 0;

  private:
    int arity() const final { return 2; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>&) const final {
        return {value(operands[0], operands[1])};
    }
};

}  // namespace emulsion
