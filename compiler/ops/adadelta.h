// AdaDelta (Zeiler 2012): steps as long as earlier ones were, in proportion to the gradient.
//
//     adadelta_update(w, g, s, u, rate) -> w', s', u'      with d = g + weight_decay * w:
//         s' = s + (1 - rho) * (d^2 - s)
//         step = sqrt(u + epsilon) / sqrt(s' + epsilon) * d
//         u' = u + (1 - rho) * (step^2 - u)
//         w' = w - rate * step
//
// All operands but the rate have the type of the weights w.
#pragma once

#include "compiler/ops/lowering.h"

namespace emulsion {

class AdadeltaUpdate : public PointwiseOp {
  public:
    std::string_view kind() const override { return "adadelta_update"; }
    void fields(Fields& f) override {
        f.field("rho", rho);
        f.field("epsilon", epsilon);
        f.field("weight_decay", weight_decay);
    }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    double rho = 0.9;
    double epsilon = 1e-6;
    double weight_decay = 0;

  protected:
    int arity() const override { return 5; }
    int output_count() const override { return 3; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

}  // namespace emulsion
