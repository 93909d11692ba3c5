// softmax_cross_entropy(scores [n,C], labels i32[n]) {label_smoothing, class_weights, ignored} ->
// loss [n], correct [n]: -log softmax(scores)(label), and 1 where the first of the largest scores
// is the label's, else 0. Large scores neither overflow nor lose the loss. Of scores [n,C,H,W] with
// labels i32[n,1,H,W] both results are [n,1,H,W], one value a pixel; of lines and volumes alike.
//
// With label_smoothing e and class weights w (1 where there are none)
//     loss = (1 - e) w(label) (-log p(label)) + e / C * sum over c of w(c) (-log p(c)),
// as PyTorch's cross_entropy. A sample whose label is the ignored one has loss 0, is not correct
// and sends no gradient back. What the losses are to be divided by: label_weight (label_weight.h).
//
// softmax_cross_entropy_backward(scores, labels, dloss) -> dscores: (softmax - one at the label) *
// dloss where nothing is smoothed or weighted.
#pragma once

#include "compiler/ops/softmax_rows.h"

namespace emulsion {

// The attributes of both; `ignored` has one label at most. At their defaults they are not printed.
struct LabelAttributes {
    double label_smoothing = 0;
    std::vector<double> class_weights;  // one a class, or none
    std::vector<int64_t> ignored;

    void visit(Fields& f) {
        f.field("label_smoothing", label_smoothing);
        f.field("class_weights", class_weights);
        f.field("ignored", ignored);
    }
};

class SoftmaxCrossEntropy : public SoftmaxOp, public LabelAttributes {
  public:
    std::string_view kind() const override { return "softmax_cross_entropy"; }
    void fields(Fields& f) override { visit(f); }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    // Of the loss; `correct` is constant almost everywhere.
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Expr> evaluate(SoftmaxRow& row, const std::vector<Halide::Func>& operands,
                                       const Halide::Expr& c) const override;
    int64_t index_limit(size_t operand, std::span<const TensorType> inputs) const override;
    std::optional<int64_t> ignored_index(size_t operand) const override;
};

class SoftmaxCrossEntropyBackward : public SoftmaxOp, public LabelAttributes {
  public:
    SoftmaxCrossEntropyBackward() = default;
    explicit SoftmaxCrossEntropyBackward(LabelAttributes attributes)
        : LabelAttributes(std::move(attributes)) {}
    std::string_view kind() const override { return "softmax_cross_entropy_backward"; }
    void fields(Fields& f) override { visit(f); }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Expr> evaluate(SoftmaxRow& row, const std::vector<Halide::Func>& operands,
                                       const Halide::Expr& c) const override;
    int64_t index_limit(size_t operand, std::span<const TensorType> inputs) const override;
    std::optional<int64_t> ignored_index(size_t operand) const override;
};

}  // namespace emulsion
