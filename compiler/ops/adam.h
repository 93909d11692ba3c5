// adam_update(w, g, m, v, power1, power2, rate) -> w', m', v'
//
//     m' = beta1 * m + (1 - beta1) * d        d = g, or g + weight_decay * w where the decay is not
//     decoupled v' = beta2 * v + (1 - beta2) * d^2      power1 = beta1^t, power2 = beta2^t after
//     this step, scalars M = m' / (1 - power1), V = v' / (1 - power2)   (bias_correction=false: M =
//     m', V = v')
//
// The step is rate * M / (sqrt(V) + epsilon) in the form "outside", rate * M / sqrt(V + epsilon) in
// "inside", and in "keras" rate * sqrt(1 - power2) / (1 - power1) * m' / (sqrt(v') + epsilon).
// Decoupled decay adds rate * weight_decay * w to it (AdamW).
#pragma once

#include "compiler/ops/lowering.h"

namespace emulsion {

class AdamUpdate : public PointwiseOp {
  public:
    std::string_view kind() const override { return "adam_update"; }
    void fields(Fields& f) override {
        f.field("beta1", beta1);
        f.field("beta2", beta2);
        f.field("epsilon", epsilon);
        f.field("form", form);
        f.field("weight_decay", weight_decay);
        f.field("decoupled", decoupled);
        f.field("bias_correction", bias_correction);
    }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
    std::string form = "outside";  // place of epsilon: "outside", "inside" or "keras"
    double weight_decay = 0;
    bool decoupled = false;
    bool bias_correction = true;

  protected:
    int arity() const override { return 7; }
    int output_count() const override { return 3; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

}  // namespace emulsion
