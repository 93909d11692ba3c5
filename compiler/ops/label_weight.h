// label_weight(labels i32) {class_weights, ignored} -> f32 of the labels' shape: what each label
// counts: its class's weight, or 1; 0 where it is the ignored one. The sum of these is what the
// losses of softmax_cross_entropy with the same attributes are divided by.
//
// weighted_mean(sum f32[], weight f32[]) -> f32[]: sum / weight, and 0 where nothing counts, which
// is the mean of no losses (PyTorch's is NaN). The weight gets no gradient.
#pragma once

#include "compiler/ops/lowering.h"

namespace emulsion {

class LabelWeight : public Op {
  public:
    std::string_view kind() const override { return "label_weight"; }
    void fields(Fields& f) override {
        f.field("class_weights", class_weights);
        f.field("ignored", ignored);
    }
    OpClass op_class() const override { return OpClass::pointwise; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext& context,
                                    const std::vector<Halide::Func>& inputs) const override;
    std::optional<int64_t> ignored_index(size_t operand) const override;
    std::vector<double> class_weights;
    std::vector<int64_t> ignored;
};

class WeightedMean : public PointwiseOp {
  public:
    std::string_view kind() const override { return "weighted_mean"; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;

  protected:
    int arity() const override { return 2; }
    std::vector<Halide::Expr> evaluate(const LowerContext& context,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

}  // namespace emulsion
