// distribution_cross_entropy(scores [n,C], target f32[n,C]) {label_smoothing} -> loss [n]: the sum
// over c of t(c) * -log softmax(scores)(c), where t is the target, or with label_smoothing e
// (1 - e) target + e / C. Of maps [n,C,H,W] the loss is [n,1,H,W]. A program refuses an input as
// target whose rows are no distributions.
//
// distribution_cross_entropy_backward(scores, target, dloss) -> dscores: (softmax * the sum of t -
// t) * dloss.
#pragma once

#include "compiler/ops/softmax_rows.h"

namespace emulsion {

class DistributionCrossEntropy : public SoftmaxOp {
  public:
    std::string_view kind() const override { return "distribution_cross_entropy"; }
    void fields(Fields& f) override { f.field("label_smoothing", label_smoothing); }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Expr> evaluate(SoftmaxRow& row, const std::vector<Halide::Func>& operands,
                                       const Halide::Expr& c) const override;
    bool is_distribution(size_t operand) const override { return operand == 1; }
    double label_smoothing = 0;
};

class DistributionCrossEntropyBackward : public SoftmaxOp {
  public:
    DistributionCrossEntropyBackward() = default;
    explicit DistributionCrossEntropyBackward(double smoothing) : label_smoothing(smoothing) {}
    std::string_view kind() const override { return "distribution_cross_entropy_backward"; }
    void fields(Fields& f) override { f.field("label_smoothing", label_smoothing); }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Expr> evaluate(SoftmaxRow& row, const std::vector<Halide::Func>& operands,
                                       const Halide::Expr& c) const override;
    bool is_distribution(size_t operand) const override { return operand == 1; }
    double label_smoothing = 0;
};

}  // namespace emulsion
