// gumbel_noise(x, seed_low, seed_high, step_low, step_high) {site}: x plus a random number of the
// standard Gumbel distribution for each value; nothing in inference. The four scalars are i32 bits.
//
// Of values x_i, x_i plus its number is the largest with probability e^x_i over the sum of all e^x:
// so the largest cell of a window draws from its softmax, and x plus its number is above another
// number with probability sigmoid(x). (Yellott, "The relationship between Luce's choice axiom,
// Thurstone's theory of comparative judgment, and the double exponential distribution", 1977.)
//
// The number is -log(-log u), with u in (0, 1) of 23 bits: -2.8 to 16.6. It is a function of (seed,
// step, site, element) by Philox, as in dropout.h. The gradient with respect to x is dy.
#pragma once

#include "compiler/ops/lowering.h"

namespace emulsion {

class GumbelNoise : public PointwiseOp {
  public:
    std::string_view kind() const override { return "gumbel_noise"; }
    bool is_for_training_alone() const override { return true; }
    void fields(Fields& f) override { f.field("site", site); }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    int64_t site = 0;

  protected:
    int arity() const override { return 5; }
    std::vector<Halide::Expr> evaluate(const LowerContext& context,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

}  // namespace emulsion
