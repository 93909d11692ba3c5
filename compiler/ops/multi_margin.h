// multi_margin(scores [n,C], labels i32[n]) {margin, squared} -> loss [n], correct [n]: the hinge
// loss of a classifier, as PyTorch's multi_margin_loss: the sum over the classes c beside the label
// of max(0, margin - score(label) + score(c)), each squared if so, divided by C; and 1 where the
// first of the largest scores is the label's, else 0. Of scores [n,C,H,W] with labels i32[n,1,H,W]
// both are [n,1,H,W].
//
// multi_margin_backward(scores, labels, dloss) -> dscores.
#pragma once

#include "compiler/ops/softmax_rows.h"

namespace emulsion {

struct MarginAttributes {
    double margin = 1;
    bool squared = false;

    void visit(Fields& f) {
        f.field("margin", margin);
        f.field("squared", squared);
    }
};

class MultiMargin : public SoftmaxOp, public MarginAttributes {
  public:
    std::string_view kind() const override { return "multi_margin"; }
    void fields(Fields& f) override { visit(f); }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Expr> evaluate(SoftmaxRow& row, const std::vector<Halide::Func>& operands,
                                       const Halide::Expr& c) const override;
    int64_t index_limit(size_t operand, std::span<const TensorType> inputs) const override;
};

class MultiMarginBackward : public SoftmaxOp, public MarginAttributes {
  public:
    MultiMarginBackward() = default;
    explicit MultiMarginBackward(MarginAttributes attributes) : MarginAttributes(attributes) {}
    std::string_view kind() const override { return "multi_margin_backward"; }
    void fields(Fields& f) override { visit(f); }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Expr> evaluate(SoftmaxRow& row, const std::vector<Halide::Func>& operands,
                                       const Halide::Expr& c) const override;
    int64_t index_limit(size_t operand, std::span<const TensorType> inputs) const override;
};

}  // namespace emulsion
