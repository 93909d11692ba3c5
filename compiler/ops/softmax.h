// softmax(x) -> the type of x: e^x(c) / sum over k of e^x(k) over the features of [n,C], or over
// the channels of each pixel of [n,C,H,W]. log_softmax(x): its logarithm, x(c) - log of that sum.
// Both are computed from differences to the largest value, so that large inputs do not overflow and
// small probabilities keep their logarithm.
#pragma once

#include "compiler/ops/softmax_rows.h"

namespace emulsion {

class Softmax : public SoftmaxOp {
  public:
    std::string_view kind() const override { return "softmax"; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Expr> evaluate(SoftmaxRow& row, const std::vector<Halide::Func>& operands,
                                       const Halide::Expr& c) const override;
};

class LogSoftmax : public SoftmaxOp {
  public:
    std::string_view kind() const override { return "log_softmax"; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Expr> evaluate(SoftmaxRow& row, const std::vector<Halide::Func>& operands,
                                       const Halide::Expr& c) const override;
};

}  // namespace emulsion
