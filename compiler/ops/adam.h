// Adam, AdamW, and the correction of their bias.
//
// adam_correction(c) {beta} -> c' = c + (1 - c) * (1 - beta)
//
// From 0, c is 1 - beta^t after t steps: with its rounding error relative to c, so the first steps
// are exact also for beta near 1, where the power itself would have lost its difference from 1. It
// stops within 3e-8 / (1 - beta) of 1.
//
// adam_update(w, g, m, v, c1, c2, rate) -> w', m', v'
//
//     d  = g                          (with L2 decay g + weight_decay * w)
//     m' = m + (1 - beta1) * (d - m)
//     v' = v + (1 - beta2) * (d^2 - v)
//     M  = m' / c1,  V = v' / c2      (bias_correction=false: M = m', V = v')
//
// c1 and c2 are the scalars 1 - beta1^t and 1 - beta2^t of this step. The step is rate * M /
// (sqrt(V) + epsilon) in the form "outside", rate * M / sqrt(V + epsilon) in "inside", and in
// "keras" rate * sqrt(c2) / c1 * m' / (sqrt(v') + epsilon). Decoupled decay adds rate *
// weight_decay * w to it (AdamW).
#pragma once

#include "compiler/ops/lowering.h"

namespace emulsion {

class AdamCorrection : public PointwiseOp {
  public:
    std::string_view kind() const override { return "adam_correction"; }
    void fields(Fields& f) override { f.field("beta", beta); }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    double beta = 0.9;

  protected:
    int arity() const override { return 1; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

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
