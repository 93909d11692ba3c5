// gaussian_noise(x, seed_low, seed_high, step_low, step_high) {deviation, site}: x plus a normal
// random number for each value, of mean 0 and this deviation; nothing in inference. The four
// scalars are i32 bits.
//
// The number is a function of (seed, step, site, element) by Philox, as in dropout.h, and by the
// transform of Box and Muller: sqrt(-2 log u) * cos(2 pi v), u in (0, 1] and v of 24 bits each, so
// none is larger than 5.9 deviations. The gradient with respect to x is dy.
#pragma once

#include "compiler/ops/lowering.h"

namespace emulsion {

class GaussianNoise : public PointwiseOp {
  public:
    std::string_view kind() const override { return "gaussian_noise"; }
    bool is_for_training_alone() const override { return true; }
    void fields(Fields& f) override {
        f.field("deviation", deviation);
        f.field("site", site);
    }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    double deviation = 0.1;  // >= 0
    int64_t site = 0;

  protected:
    int arity() const override { return 5; }
    std::vector<Halide::Expr> evaluate(const LowerContext& context,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

}  // namespace emulsion
