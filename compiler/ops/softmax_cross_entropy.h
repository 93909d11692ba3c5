// softmax_cross_entropy(scores [n,C], labels i32[n]) -> loss [n], correct [n]: -log
// softmax(scores)(label), and 1 where the first of the largest scores is the label's, else 0. Large
// scores neither overflow nor lose the loss.
//
// softmax_cross_entropy_backward(scores, labels, dloss [n]) -> dscores [n,C]: (softmax - one at the
// label) * dloss.
#pragma once

#include "compiler/graph/op.h"

namespace emulsion {

class SoftmaxCrossEntropy : public Op {
  public:
    std::string_view kind() const override { return "softmax_cross_entropy"; }
    OpClass op_class() const override { return OpClass::anchor; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    // Of the loss; `correct` is constant almost everywhere.
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    int64_t index_limit(size_t operand, std::span<const TensorType> inputs) const override;
};

class SoftmaxCrossEntropyBackward : public Op {
  public:
    std::string_view kind() const override { return "softmax_cross_entropy_backward"; }
    OpClass op_class() const override { return OpClass::anchor; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    int64_t index_limit(size_t operand, std::span<const TensorType> inputs) const override;
};

}  // namespace emulsion
