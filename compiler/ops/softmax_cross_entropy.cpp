// The loss of a classifier, of samples or of pixels, whose labels are class indices.
#include "compiler/ops/softmax_cross_entropy.h"

#include <numeric>

#include "compiler/graph/limits.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/strict.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;

// Shape

namespace {

void expect_operands_of(const LabelAttributes& attributes, const TensorType& scores,
                        const TensorType& labels) {
    expect_scores(scores, "scores");
    expect_same_order(scores.factors, "scores", {}, "labels");
    expect_labels(scores, labels);
    expect_smoothing(attributes.label_smoothing);
    if (!attributes.class_weights.empty())
        expect_class_weights(attributes.class_weights, scores.shape[0]);
    expect_ignored(attributes.ignored);
}

std::optional<int64_t> ignored_of(const LabelAttributes& attributes, size_t operand) {
    if (operand != 1 || attributes.ignored.empty()) return std::nullopt;
    return attributes.ignored[0];
}

// The labels are classes.
int64_t classes_of(size_t operand, std::span<const TensorType> inputs) {
    return operand == 1 ? inputs[0].shape[0] : 0;
}

}  // namespace

std::vector<TensorType> SoftmaxCrossEntropy::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 2);
    expect_operands_of(*this, inputs[0], inputs[1]);
    return {row_type(inputs[0]), row_type(inputs[0])};
}

std::vector<TensorType> SoftmaxCrossEntropyBackward::infer(
    std::span<const TensorType> inputs) const {
    expect_operands(inputs, 3);
    expect_operands_of(*this, inputs[0], inputs[1]);
    expect_gradient_of(inputs[2], row_type(inputs[0]));
    return {inputs[0]};
}

int64_t SoftmaxCrossEntropy::index_limit(size_t operand, std::span<const TensorType> inputs) const {
    return classes_of(operand, inputs);
}

int64_t SoftmaxCrossEntropyBackward::index_limit(size_t operand,
                                                 std::span<const TensorType> inputs) const {
    return classes_of(operand, inputs);
}

std::optional<int64_t> SoftmaxCrossEntropy::ignored_index(size_t operand) const {
    return ignored_of(*this, operand);
}

std::optional<int64_t> SoftmaxCrossEntropyBackward::ignored_index(size_t operand) const {
    return ignored_of(*this, operand);
}

// Gradient

std::vector<Value> SoftmaxCrossEntropy::gradient(GradientContext& context) const {
    std::vector<Value> result(2);
    if (!context.needed[0] || !context.gradients[0].defined()) return result;
    result[0] = context.add("dscores", std::make_shared<SoftmaxCrossEntropyBackward>(*this),
                            {context.inputs[0], context.inputs[1], context.gradients[0]});
    return result;
}

// Lowering

namespace {

// What is wanted of a row: the loss is the sum over c of wanted(c) * -log p(c), where wanted(c) is
// `at_label` for the label's class, and everywhere `elsewhere` times the class's weight.
struct Wanted {
    Wanted(const LabelAttributes& attributes, const SoftmaxRow& row, Expr given)
        : weights(attributes.class_weights),
          label(std::move(given)),
          counts(Halide::Internal::const_true()) {
        if (!attributes.ignored.empty()) counts = label != static_cast<int>(attributes.ignored[0]);
        const double classes = row.classes(), smoothing = attributes.label_smoothing;
        at_label = static_cast<float>(1 - smoothing);
        if (!weights.empty()) {
            const Expr weight = choose_value(weights, label);
            at_label = smoothing > 0 ? Expr(Strict(weight) * Strict(1 - smoothing)) : weight;
        }
        elsewhere = smoothing / classes;
        const double sum =
            weights.empty() ? classes : std::accumulate(weights.begin(), weights.end(), 0.0);
        rest = elsewhere * sum;
    }
    bool is_plain() const { return weights.empty() && elsewhere == 0; }
    // elsewhere * the weight of class c, or none.
    Strict smoothed(SoftmaxRow& row, const Expr& c) const {
        if (weights.empty()) return elsewhere;
        std::vector<double> scaled = weights;
        for (double& weight : scaled) weight *= elsewhere;
        return row.constant(scaled, c);
    }

    const std::vector<double>& weights;
    Expr label, counts, at_label;
    double elsewhere = 0, rest = 0;  // the latter: the sum of what is wanted elsewhere
};

}  // namespace

std::vector<Expr> SoftmaxCrossEntropy::evaluate(SoftmaxRow& row, const std::vector<Func>& operands,
                                                const Expr&) const {
    const Wanted wanted(*this, row, row.of_row(operands[1]));
    const Strict log_sum(log_f32(row.sum())), top(row.top());
    Strict loss =
        log_sum + (top - Strict(row.score(Halide::clamp(wanted.label, 0, row.classes() - 1))));
    if (!wanted.is_plain()) loss = Strict(wanted.at_label) * loss;
    if (wanted.elsewhere > 0) {
        const Expr below = row.total("below", [&](const Expr& c) {
            return Expr(wanted.smoothed(row, c) * (top - Strict(row.score(c))));
        });
        loss = loss + (Strict(wanted.rest) * log_sum + Strict(below));
    }
    const Expr is_right = wanted.counts && row.place() == wanted.label;
    return {choose(wanted.counts, loss, 0.0F), choose(is_right, 1.0F, 0.0F)};
}

std::vector<Expr> SoftmaxCrossEntropyBackward::evaluate(SoftmaxRow& row,
                                                        const std::vector<Func>& operands,
                                                        const Expr& c) const {
    const Wanted wanted(*this, row, row.of_row(operands[1]));
    const Strict probability(row.probability(c));
    const Strict is_label = choose(c == wanted.label, wanted.at_label, 0.0F);
    Strict difference = probability - is_label;
    if (!wanted.is_plain()) {
        const Strict whole = Strict(wanted.at_label) + Strict(wanted.rest);
        difference = probability * whole - is_label;
    }
    if (wanted.elsewhere > 0) difference = difference - wanted.smoothed(row, c);
    const Strict gradient = difference * Strict(row.of_row(operands[2]));
    return {choose(wanted.counts, gradient, 0.0F)};
}

}  // namespace emulsion
