// AdaGrad (Duchi, Hazan, Singer 2011): a rate for each weight, which falls with the squares of all
// its gradients.
//
//     adagrad_update(w, g, s, rate) -> w', s'      with d = g + weight_decay * w:
//         s' = s + d^2
//         w' = w - rate * d / (sqrt(s') + epsilon)
//
// All operands but the rate have the type of the weights w. s begins at a number of 0 or more; from
// 0 the first step is the rate, against the gradient.
#pragma once

#include "compiler/ops/lowering.h"

namespace emulsion {

class AdagradUpdate : public PointwiseOp {
  public:
    std::string_view kind() const override { return "adagrad_update"; }
    void fields(Fields& f) override {
        f.field("epsilon", epsilon);
        f.field("weight_decay", weight_decay);
    }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    double epsilon = 1e-10;
    double weight_decay = 0;

  protected:
    int arity() const override { return 4; }
    int output_count() const override { return 2; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

}  // namespace emulsion
