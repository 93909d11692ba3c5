// dropout(x, seed_low, seed_high, step_low, step_high) {rate, site}: each value is dropped with
// probability `rate`, the others are divided by 1 - rate. The four scalars are i32 bits.
//
// Whether a value is dropped is a function of (seed, step, site, element) by Philox, with the
// element counted through the step's samples in the order of memory; `site` tells the layers of a
// network apart. The gradient is the same op on dy with the same scalars.
//
// spatial_dropout drops whole channels of a sample: f32[n,C,…] counts n * C elements.
#pragma once

#include "compiler/ops/lowering.h"

namespace emulsion {

class Dropout : public PointwiseOp {
  public:
    std::string_view kind() const override { return "dropout"; }
    bool is_for_training_alone() const override { return true; }
    void fields(Fields& f) override {
        f.field("rate", rate);
        f.field("site", site);
    }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    double rate = 0.5;  // 0 <= rate < 1
    int64_t site = 0;

  protected:
    int arity() const override { return 5; }
    virtual std::shared_ptr<Op> copy() const { return std::make_shared<Dropout>(*this); }
    // What a value is multiplied by; 0 where it is dropped, whatever it is. `element` is the number
    // of what lives or falls together with it.
    Halide::Expr kept(const std::vector<Halide::Expr>& operands, const Halide::Expr& element) const;
    std::vector<Halide::Expr> evaluate(const LowerContext& context,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

class SpatialDropout : public Dropout {
  public:
    std::string_view kind() const override { return "spatial_dropout"; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Func> lower(const LowerContext& context,
                                    const std::vector<Halide::Func>& inputs) const override;
    // The Func (c, n) of a lowering that says what each channel is multiplied by.
    static bool is_drawn(const Halide::Func& func);

  protected:
    std::shared_ptr<Op> copy() const override { return std::make_shared<SpatialDropout>(*this); }
};

}  // namespace emulsion
