// See rounding_bounds.h.
#include "tests/support/rounding_bounds.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace emulsion::test {

namespace {

using reference::Tensor;

// Noise of one draw is a sample of the error, not its bound.
constexpr double kSafety = 8;
constexpr uint64_t kFewDraws = 2, kManyDraws = 24;

double norm(const std::vector<double>& values) {
    double sum = 0;
    for (double value : values) sum += value * value;
    return std::sqrt(sum);
}

double distance(const Tensor& a, const Tensor& b) {
    double sum = 0;
    for (size_t i = 0; i < a.values.size(); i++) sum += std::pow(a.values[i] - b.values[i], 2);
    return std::sqrt(sum);
}

double largest(const std::vector<double>& values) {
    double most = 0;
    for (double value : values) most = std::max(most, std::abs(value));
    return most;
}

bool is_rough(std::string_view kind) {
    return kind.starts_with("conv2d") || kind.starts_with("dense");
}

}  // namespace

RoundingBounds::RoundingBounds(const Graph& graph, const reference::Sources& sources,
                               int64_t samples, double relative_error, reference::Change change)
    : graph_(graph),
      sources_(sources),
      samples_(samples),
      relative_error_(relative_error),
      change_(std::move(change)) {
    expected_ = results_of(graph, sources, samples, change_);
    for (const auto& [name, tensor] : expected_) {
        if (!name.starts_with("gradient ")) continue;
        for (double value : tensor.values) floor_ = std::max(floor_, std::abs(value));
    }
    while (draws_ < kFewDraws) draw();
}

void RoundingBounds::draw() {
    std::mt19937_64 random(++draws_);
    std::normal_distribution<double> normal;
    const auto noise = [&](const Node& node, const std::vector<const Tensor*>& inputs,
                           std::vector<Tensor>& outputs) {
        if (change_) change_(node, inputs, outputs);
        if (node.op->op_class() == OpClass::source) return;
        for (Tensor& tensor : outputs) {
            if (tensor.type.element != ElementType::f32 || tensor.values.empty()) continue;
            const double mean_square =
                norm(tensor.values) / std::sqrt(static_cast<double>(tensor.values.size()));
            double common = is_rough(node.op->kind()) ? relative_error_ * mean_square : 0;
            // A probability less 1, times the loss's gradient: single precision keeps 6e-8 of 1.
            if (node.op->kind() == "softmax_cross_entropy_backward")
                common = 1e-7 * largest(inputs[2]->values);
            for (double& value : tensor.values)
                value += normal(random) * (common + 2e-7 * std::abs(value));
        }
    };
    for (const auto& [name, tensor] : results_of(graph_, sources_, samples_, noise)) {
        double& moved = moved_[name];
        moved = std::max(moved, distance(tensor, expected_.at(name)));
    }
}

std::string RoundingBounds::difference(const std::string& name, const Tensor& actual) {
    const Tensor& right = expected_.at(name);
    if (actual.type != right.type || actual.values.size() != right.values.size())
        return fmt::format("{} is {}, but should be {}\n", name, to_string(actual.type),
                           to_string(right.type));
    const double away = distance(actual, right), whole = norm(right.values);
    const double root = std::sqrt(static_cast<double>(right.values.size()));
    const double least =
        3e-6 * whole + (name.starts_with("gradient ") ? 1e-6 * floor_ * root : 1e-7 * root);
    while (!(away <= least + kSafety * moved_.at(name))) {
        if (draws_ >= kManyDraws)
            return fmt::format("{} differs by {:.3g} of {:.3g}, but noise moves it by {:.3g}\n",
                               name, away, whole, moved_.at(name));
        draw();
    }
    return "";
}

}  // namespace emulsion::test
