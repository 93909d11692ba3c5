// Softmax and the loss of a classifier.
#include <algorithm>
#include <cmath>

#include "tests/reference/interpreter.h"

namespace emulsion::reference {

namespace {

// Row n of scores [n,C].
std::vector<double> row(const Tensor& scores, int64_t n) {
    const auto begin =
        scores.values.begin() + static_cast<std::ptrdiff_t>(n * scores.type.shape[0]);
    return {begin, begin + static_cast<std::ptrdiff_t>(scores.type.shape[0])};
}

double log_of_sum(const std::vector<double>& scores) {
    const double largest = *std::ranges::max_element(scores);
    double sum = 0;
    for (double score : scores) sum += std::exp(score - largest);
    return largest + std::log(sum);
}

std::vector<Tensor> softmax(const Call& call) {
    Tensor y = call.output();
    for (int64_t n = 0; n < call.samples; n++) {
        const std::vector<double> x = row(call.input(0), n);
        const double sum = log_of_sum(x);
        for (size_t c = 0; c < x.size(); c++) y.at(n, c) = std::exp(x[c] - sum);
    }
    return {y};
}

std::vector<Tensor> softmax_cross_entropy(const Call& call) {
    Tensor loss = call.output(0), correct = call.output(1);
    for (int64_t n = 0; n < call.samples; n++) {
        const std::vector<double> x = row(call.input(0), n);
        const auto label = static_cast<size_t>(call.input(1).at(n));
        loss.at(n) = log_of_sum(x) - x[label];
        correct.at(n) =
            std::ranges::max_element(x) - x.begin() == static_cast<std::ptrdiff_t>(label) ? 1 : 0;
    }
    return {loss, correct};
}

std::vector<Tensor> softmax_cross_entropy_backward(const Call& call) {
    Tensor dx = call.output();
    for (int64_t n = 0; n < call.samples; n++) {
        const std::vector<double> x = row(call.input(0), n);
        const auto label = static_cast<size_t>(call.input(1).at(n));
        const double sum = log_of_sum(x);
        for (size_t c = 0; c < x.size(); c++)
            dx.at(n, c) = (std::exp(x[c] - sum) - (c == label ? 1 : 0)) * call.input(2).at(n);
    }
    return {dx};
}

}  // namespace

void add_loss(Table& table) {
    table["softmax"] = softmax;
    table["softmax_cross_entropy"] = softmax_cross_entropy;
    table["softmax_cross_entropy_backward"] = softmax_cross_entropy_backward;
}

}  // namespace emulsion::reference
