// Softmax, and the losses of classifiers and of single elements.
#include <algorithm>
#include <cmath>

#include "compiler/ops/distribution_cross_entropy.h"
#include "compiler/ops/element_losses.h"
#include "compiler/ops/label_weight.h"
#include "compiler/ops/multi_margin.h"
#include "compiler/ops/softmax_cross_entropy.h"
#include "tests/reference/interpreter.h"

namespace emulsion::reference {

namespace {

// The rows of scores [n,C] or [n,C,H,W]: one a sample or a pixel.
struct Rows {
    explicit Rows(const Tensor& scores)
        : x(scores),
          classes(static_cast<size_t>(scores.type.shape[0])),
          positions(scores.values.size() / classes / static_cast<size_t>(scores.samples)) {}
    size_t count() const { return x.values.size() / classes; }
    // Where class c of a row stands.
    size_t at(size_t row, size_t c) const {
        return (row / positions * classes + c) * positions + row % positions;
    }
    std::vector<double> operator[](size_t row) const {
        std::vector<double> scores;
        for (size_t c = 0; c < classes; c++) scores.push_back(x.values[at(row, c)]);
        return scores;
    }

    const Tensor& x;
    size_t classes, positions;
};

double log_of_sum(const std::vector<double>& scores) {
    const double largest = *std::ranges::max_element(scores);
    double sum = 0;
    for (double score : scores) sum += std::exp(score - largest);
    return largest + std::log(sum);
}

std::vector<Tensor> softmax(const Call& call) {
    Tensor y = call.output();
    const Rows rows(call.input(0));
    for (size_t n = 0; n < rows.count(); n++) {
        const std::vector<double> x = rows[n];
        const double sum = log_of_sum(x);
        for (size_t c = 0; c < x.size(); c++) y.values[rows.at(n, c)] = std::exp(x[c] - sum);
    }
    return {y};
}

std::vector<Tensor> log_softmax(const Call& call) {
    Tensor y = call.output();
    const Rows rows(call.input(0));
    for (size_t n = 0; n < rows.count(); n++) {
        const std::vector<double> x = rows[n];
        const double sum = log_of_sum(x);
        for (size_t c = 0; c < x.size(); c++) y.values[rows.at(n, c)] = x[c] - sum;
    }
    return {y};
}

bool is_ignored(const std::vector<int64_t>& ignored, double label) {
    return !ignored.empty() && label == static_cast<double>(ignored[0]);
}

// What is wanted of each class, in place of a distribution; nothing where the label is ignored.
std::vector<double> wanted(const LabelAttributes& op, size_t classes, double label) {
    std::vector<double> q(classes, 0);
    if (is_ignored(op.ignored, label)) return q;
    const auto weight = [&](size_t c) {
        return op.class_weights.empty() ? 1 : op.class_weights[c];
    };
    for (size_t c = 0; c < classes; c++) {
        const double smoothed = op.label_smoothing / static_cast<double>(classes) * weight(c);
        const bool is_label = static_cast<double>(c) == label;
        q[c] = smoothed + (is_label ? (1 - op.label_smoothing) * weight(c) : 0);
    }
    return q;
}

double cross_entropy(const std::vector<double>& x, const std::vector<double>& q) {
    const double log_sum = log_of_sum(x);
    double sum = 0;
    for (size_t c = 0; c < x.size(); c++) sum += q[c] * (log_sum - x[c]);
    return sum;
}

// d cross_entropy / d x
std::vector<double> slopes(const std::vector<double>& x, const std::vector<double>& q) {
    const double log_sum = log_of_sum(x);
    double whole = 0;
    for (double each : q) whole += each;
    std::vector<double> result;
    for (size_t c = 0; c < x.size(); c++) result.push_back(whole * std::exp(x[c] - log_sum) - q[c]);
    return result;
}

bool is_right(const std::vector<double>& x, double label) {
    return static_cast<double>(std::ranges::max_element(x) - x.begin()) == label;
}

std::vector<Tensor> softmax_cross_entropy(const Call& call) {
    Tensor loss = call.output(0), correct = call.output(1);
    const Rows rows(call.input(0));
    for (size_t n = 0; n < rows.count(); n++) {
        const double label = call.input(1).values[n];
        const auto& op = call.as<LabelAttributes>();
        loss.values[n] = cross_entropy(rows[n], wanted(op, rows.classes, label));
        correct.values[n] = !is_ignored(op.ignored, label) && is_right(rows[n], label) ? 1 : 0;
    }
    return {loss, correct};
}

std::vector<Tensor> softmax_cross_entropy_backward(const Call& call) {
    Tensor dx = call.output();
    const Rows rows(call.input(0));
    for (size_t n = 0; n < rows.count(); n++) {
        const auto q = wanted(call.as<LabelAttributes>(), rows.classes, call.input(1).values[n]);
        const std::vector<double> slope = slopes(rows[n], q);
        for (size_t c = 0; c < rows.classes; c++)
            dx.values[rows.at(n, c)] = slope[c] * call.input(2).values[n];
    }
    return {dx};
}

std::vector<double> smoothed(std::vector<double> target, double smoothing) {
    for (double& t : target)
        t = t * (1 - smoothing) + smoothing / static_cast<double>(target.size());
    return target;
}

std::vector<Tensor> distribution_cross_entropy(const Call& call) {
    Tensor loss = call.output();
    const Rows rows(call.input(0)), targets(call.input(1));
    const double smoothing = call.as<DistributionCrossEntropy>().label_smoothing;
    for (size_t n = 0; n < rows.count(); n++)
        loss.values[n] = cross_entropy(rows[n], smoothed(targets[n], smoothing));
    return {loss};
}

std::vector<Tensor> distribution_cross_entropy_backward(const Call& call) {
    Tensor dx = call.output();
    const Rows rows(call.input(0)), targets(call.input(1));
    const double smoothing = call.as<DistributionCrossEntropyBackward>().label_smoothing;
    for (size_t n = 0; n < rows.count(); n++) {
        const std::vector<double> slope = slopes(rows[n], smoothed(targets[n], smoothing));
        for (size_t c = 0; c < rows.classes; c++)
            dx.values[rows.at(n, c)] = slope[c] * call.input(2).values[n];
    }
    return {dx};
}

std::vector<Tensor> label_weight(const Call& call) {
    Tensor weight = call.output();
    const auto& op = call.as<LabelWeight>();
    for (size_t i = 0; i < weight.values.size(); i++) {
        const double label = call.input(0).values[i];
        if (is_ignored(op.ignored, label)) continue;
        weight.values[i] =
            op.class_weights.empty() ? 1 : op.class_weights[static_cast<size_t>(label)];
    }
    return {weight};
}

std::vector<Tensor> weighted_mean(const Call& call) {
    Tensor mean = call.output();
    const double sum = call.input(0).values[0], weight = call.input(1).values[0];
    mean.values[0] = weight > 0 ? sum / weight : 0;
    return {mean};
}

// Of class c beside the label, and its slope.
double excess(const MarginAttributes& op, const std::vector<double>& x, size_t label, size_t c) {
    return c == label ? 0 : std::max(0.0, op.margin - x[label] + x[c]);
}

std::vector<Tensor> multi_margin(const Call& call) {
    Tensor loss = call.output(0), correct = call.output(1);
    const Rows rows(call.input(0));
    const auto& op = call.as<MultiMargin>();
    for (size_t n = 0; n < rows.count(); n++) {
        const double label = call.input(1).values[n];
        const std::vector<double> x = rows[n];
        for (size_t c = 0; c < rows.classes; c++) {
            const double over = excess(op, x, static_cast<size_t>(label), c);
            loss.values[n] += (op.squared ? over * over : over) / static_cast<double>(rows.classes);
        }
        correct.values[n] = is_right(x, label) ? 1 : 0;
    }
    return {loss, correct};
}

std::vector<Tensor> multi_margin_backward(const Call& call) {
    Tensor dx = call.output();
    const Rows rows(call.input(0));
    const auto& op = call.as<MultiMarginBackward>();
    for (size_t n = 0; n < rows.count(); n++) {
        const auto label = static_cast<size_t>(call.input(1).values[n]);
        const std::vector<double> x = rows[n];
        for (size_t c = 0; c < rows.classes; c++) {
            const double over = excess(op, x, label, c);
            const double rise = (over > 0 ? (op.squared ? 2 * over : 1) : 0) /
                                static_cast<double>(rows.classes) * call.input(2).values[n];
            dx.values[rows.at(n, c)] += rise;
            dx.values[rows.at(n, label)] -= rise;
        }
    }
    return {dx};
}

// Losses of single elements: `value(op, x, t)`, and backwards `both(op, x, t)`: d/dx, d/dt.
template <class T, double (*value)(const T&, double, double)>
std::vector<Tensor> element(const Call& call) {
    Tensor loss = call.output();
    for (size_t i = 0; i < loss.values.size(); i++)
        loss.values[i] = value(call.as<T>(), call.input(0).values[i], call.input(1).values[i]);
    return {loss};
}

template <class T, std::pair<double, double> (*both)(const T&, double, double)>
std::vector<Tensor> element_backward(const Call& call) {
    Tensor result = call.output();
    for (size_t i = 0; i < result.values.size(); i++) {
        const auto [dx, dt] = both(call.as<T>(), call.input(0).values[i], call.input(1).values[i]);
        result.values[i] = (call.as<T>().of_target ? dt : dx) * call.input(2).values[i];
    }
    return {result};
}

double absolute_error(const AbsoluteError&, double x, double t) { return std::abs(x - t); }

std::pair<double, double> absolute_slopes(const AbsoluteErrorBackward&, double x, double t) {
    const double sign = x > t ? 1 : x < t ? -1 : 0;
    return {sign, -sign};
}

double huber(const Huber& op, double x, double t) {
    const double size = std::abs(x - t);
    return size <= op.delta ? size * size / 2 : op.delta * (size - op.delta / 2);
}

std::pair<double, double> huber_slopes(const HuberBackward& op, double x, double t) {
    const double slope = std::clamp(x - t, -op.delta, op.delta);
    return {slope, -slope};
}

// log(1 + e^x)
double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

double binary_cross_entropy(const BinaryCrossEntropy& op, double x, double t) {
    return (1 - t) * softplus(x) + op.positive_weight * t * softplus(-x);
}

std::pair<double, double> binary_slopes(const BinaryCrossEntropyBackward& op, double x, double t) {
    const double share = 1 / (1 + std::exp(-x)), p = op.positive_weight;
    return {(1 - t) * share - p * t * (1 - share), p * softplus(-x) - softplus(x)};
}

double hinge(const Hinge&, double x, double t) { return std::max(0.0, 1 - t * x); }

std::pair<double, double> hinge_slopes(const HingeBackward&, double x, double t) {
    if (t * x >= 1) return {0, 0};
    return {-t, -x};
}

}  // namespace

void add_loss(Table& table) {
    table["absolute_error"] = element<AbsoluteError, absolute_error>;
    table["absolute_error_backward"] = element_backward<AbsoluteErrorBackward, absolute_slopes>;
    table["binary_cross_entropy"] = element<BinaryCrossEntropy, binary_cross_entropy>;
    table["binary_cross_entropy_backward"] =
        element_backward<BinaryCrossEntropyBackward, binary_slopes>;
    table["distribution_cross_entropy"] = distribution_cross_entropy;
    table["distribution_cross_entropy_backward"] = distribution_cross_entropy_backward;
    table["hinge"] = element<Hinge, hinge>;
    table["hinge_backward"] = element_backward<HingeBackward, hinge_slopes>;
    table["huber"] = element<Huber, huber>;
    table["huber_backward"] = element_backward<HuberBackward, huber_slopes>;
    table["label_weight"] = label_weight;
    table["log_softmax"] = log_softmax;
    table["multi_margin"] = multi_margin;
    table["multi_margin_backward"] = multi_margin_backward;
    table["softmax"] = softmax;
    table["softmax_cross_entropy"] = softmax_cross_entropy;
    table["softmax_cross_entropy_backward"] = softmax_cross_entropy_backward;
    table["weighted_mean"] = weighted_mean;
}

}  // namespace emulsion::reference
