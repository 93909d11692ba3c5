// Stochastic diagonal Levenberg-Marquardt (LeCun, Bottou, Orr, Müller: "Efficient BackProp", 1998,
// section 9.1): each weight has a rate of its own, by the curvature of the loss along it.
//
//     levenberg_marquardt_update(w, g, h, c, rate) -> w'
//         w' = w - rate * (g + weight_decay * w) / (h / c + weight_decay + damping)
//
// g, and the running average h of the second derivatives, have the type of the weights w; the
// scalar c corrects the bias of an average that began at 0. On a quadratic, with a rate of 1 and
// next to no damping, one step lands on the minimum.
#pragma once

#include "compiler/ops/lowering.h"

namespace emulsion {

class LevenbergMarquardtUpdate : public PointwiseOp {
  public:
    std::string_view kind() const override { return "levenberg_marquardt_update"; }
    void fields(Fields& f) override {
        f.field("damping", damping);
        f.field("weight_decay", weight_decay);
    }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    double damping = 0.02;
    double weight_decay = 0;

  protected:
    int arity() const override { return 5; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

}  // namespace emulsion
