// Batch and group normalisation and the moments they are made of.
#include <algorithm>
#include <cmath>

#include "compiler/ops/batch_norm.h"
#include "compiler/ops/group_norm.h"
#include "compiler/ops/moments.h"
#include "tests/reference/interpreter.h"

namespace emulsion::reference {

namespace {

// A batched tensor (n, c, cell).
struct Cells {
    explicit Cells(const Tensor& t)
        : tensor(t), channels(t.type.shape[0]), count(element_count(t.type) / channels) {}
    double at(int64_t n, int64_t c, int64_t i) const {
        return tensor.values[static_cast<size_t>((n * channels + c) * count + i)];
    }
    const Tensor& tensor;
    int64_t channels, count;
};

// Rows first … last - 1 of a strip of a map with `cells` cells a channel, as cells.
struct Strip {
    Strip(const TensorType& map, int64_t index) {
        const int64_t height = map.shape.size() > 2 ? map.shape[1] : 1;
        const int64_t width = element_count(map) / map.shape[0] / height;
        first = kStripRows * index * width;
        last = std::min(height, kStripRows * (index + 1)) * width;
    }
    int64_t first, last;
};

// Calls visit(sample, channel, strip) for every value of strips.
template <class Visit>
void each_strip(const Tensor& strips, const Visit& visit) {
    for (int64_t n = 0; n < strips.samples; n++) {
        for (int64_t c = 0; c < strips.type.shape[0]; c++) {
            for (int64_t s = 0; s < strips.type.shape[1]; s++) visit(n, c, s);
        }
    }
}

std::vector<Tensor> partial_moments(const Call& call) {
    const Cells x(call.input(0));
    Tensor pivot = call.output(0), sum = call.output(1), squares = call.output(2);
    each_strip(pivot, [&](int64_t n, int64_t c, int64_t s) {
        const Strip strip(call.input(0).type, s);
        const double first = pivot.at(n, c, s, 0) = x.at(n, c, strip.first);
        for (int64_t i = strip.first; i < strip.last; i++) {
            sum.at(n, c, s, 0) += x.at(n, c, i) - first;
            squares.at(n, c, s, 0) += std::pow(x.at(n, c, i) - first, 2);
        }
    });
    return {pivot, sum, squares};
}

std::vector<Tensor> merge_moments(const Call& call) {
    const Tensor &pivot = call.input(0), &sum = call.input(1), &squares = call.input(2);
    const auto& op = call.as<MergeMoments>();
    const auto total = static_cast<double>(call.samples * op.width * op.height);
    const TensorType map = batched_type({pivot.type.shape[0], op.height, op.width});
    const auto count = [&](int64_t s) {
        return static_cast<double>(Strip(map, s).last - Strip(map, s).first);
    };
    Tensor mean = call.output(0), variance = call.output(1);
    each_strip(pivot, [&](int64_t n, int64_t c, int64_t s) {
        mean.at(c) += (count(s) * pivot.at(n, c, s, 0) + sum.at(n, c, s, 0)) / total;
    });
    each_strip(pivot, [&](int64_t n, int64_t c, int64_t s) {
        const double average = sum.at(n, c, s, 0) / count(s);
        const double inside = squares.at(n, c, s, 0) - average * sum.at(n, c, s, 0);
        variance.at(c) +=
            (inside + count(s) * std::pow(pivot.at(n, c, s, 0) + average - mean.at(c), 2)) / total;
    });
    return {mean, variance};
}

std::vector<Tensor> partial_dots(const Call& call) {
    const Cells dy(call.input(0)), x(call.input(1));
    const auto mean = [&](int64_t n, int64_t c) {
        const Tensor& m = call.input(2);
        return m.type.batched ? m.at(n, c) : m.at(c);
    };
    Tensor sum = call.output(0), dot = call.output(1);
    each_strip(sum, [&](int64_t n, int64_t c, int64_t s) {
        const Strip strip(call.input(1).type, s);
        for (int64_t i = strip.first; i < strip.last; i++) {
            sum.at(n, c, s, 0) += dy.at(n, c, i);
            dot.at(n, c, s, 0) += dy.at(n, c, i) * (x.at(n, c, i) - mean(n, c));
        }
    });
    return {sum, dot};
}

std::vector<Tensor> batch_norm(const Call& call) {
    const Cells x(call.input(0));
    Tensor y = call.output(0), mean = call.output(1), variance = call.output(2);
    const auto total = static_cast<double>(call.samples * x.count);
    for (int64_t c = 0; c < x.channels; c++) {
        const auto each = [&](const auto& visit) {
            for (int64_t n = 0; n < call.samples; n++) {
                for (int64_t i = 0; i < x.count; i++) visit(n, i);
            }
        };
        each([&](int64_t n, int64_t i) { mean.at(c) += x.at(n, c, i) / total; });
        each([&](int64_t n, int64_t i) {
            variance.at(c) += std::pow(x.at(n, c, i) - mean.at(c), 2) / total;
        });
        const double factor =
            call.input(1).at(c) / std::sqrt(variance.at(c) + call.as<BatchNorm>().epsilon);
        each([&](int64_t n, int64_t i) {
            y.values[static_cast<size_t>((n * x.channels + c) * x.count + i)] =
                (x.at(n, c, i) - mean.at(c)) * factor + call.input(2).at(c);
        });
    }
    return {y, mean, variance};
}

// Mean and inverse deviation of what `visit` hands out, for each group of each sample.
template <class Each>
void group_moments(Tensor& mean, Tensor& inverse, int64_t groups, double epsilon,
                   const Each& each) {
    const int64_t channels = mean.type.shape[0], size = channels / groups;
    for (int64_t n = 0; n < mean.samples; n++) {
        for (int64_t g = 0; g < groups; g++) {
            double count = 0, sum = 0, squares = 0;
            const auto walk = [&](const auto& visit) {
                for (int64_t c = g * size; c < (g + 1) * size; c++) each(n, c, visit);
            };
            walk([&](double weight, double value, double) {
                count += weight;
                sum += weight * value;
            });
            walk([&](double weight, double value, double inside) {
                squares += inside + weight * std::pow(value - sum / count, 2);
            });
            for (int64_t c = g * size; c < (g + 1) * size; c++) {
                mean.at(n, c) = sum / count;
                inverse.at(n, c) = 1 / std::sqrt(squares / count + epsilon);
            }
        }
    }
}

std::vector<Tensor> group_norm(const Call& call) {
    const auto& op = call.as<GroupNorm>();
    const Cells x(call.input(0));
    Tensor y = call.output(0), mean = call.output(1), inverse = call.output(2);
    group_moments(mean, inverse, op.groups, op.epsilon,
                  [&](int64_t n, int64_t c, const auto& visit) {
                      for (int64_t i = 0; i < x.count; i++) visit(1.0, x.at(n, c, i), 0.0);
                  });
    for (size_t k = 0; k < y.values.size(); k++) {
        const int64_t row = static_cast<int64_t>(k) / x.count, c = row % x.channels;
        const int64_t n = row / x.channels;
        y.values[k] =
            (x.tensor.values[k] - mean.at(n, c)) * inverse.at(n, c) * call.input(1).at(c) +
            call.input(2).at(c);
    }
    return {y, mean, inverse};
}

std::vector<Tensor> group_statistics(const Call& call) {
    const auto& op = call.as<GroupStatistics>();
    const Tensor& pivot = call.input(0);
    Tensor mean = call.output(0), inverse = call.output(1);
    if (call.inputs.size() == 1) {  // features
        group_moments(
            mean, inverse, op.groups, op.epsilon,
            [&](int64_t n, int64_t c, const auto& visit) { visit(1.0, pivot.at(n, c), 0.0); });
        return {mean, inverse};
    }
    const Tensor &sum = call.input(1), &squares = call.input(2);
    const TensorType map = batched_type({pivot.type.shape[0], op.height, op.width});
    group_moments(mean, inverse, op.groups, op.epsilon,
                  [&](int64_t n, int64_t c, const auto& visit) {
                      for (int64_t s = 0; s < pivot.type.shape[1]; s++) {
                          const Strip strip(map, s);
                          const auto count = static_cast<double>(strip.last - strip.first);
                          const double average = sum.at(n, c, s, 0) / count;
                          visit(count, pivot.at(n, c, s, 0) + average,
                                squares.at(n, c, s, 0) - average * sum.at(n, c, s, 0));
                      }
                  });
    return {mean, inverse};
}

std::vector<Tensor> group_coefficients(const Call& call) {
    const auto& op = call.as<GroupCoefficients>();
    const Tensor &gamma = call.input(0), &inverse = call.input(1);
    std::vector<Tensor> results;
    for (size_t k = 0; k < 5; k++) results.push_back(call.output(k));
    const int64_t channels = gamma.type.shape[0], size = channels / op.groups;
    const auto over_strips = [&](size_t operand, int64_t n, int64_t c) {
        if (call.inputs.size() == 5) {  // features
            const double dy = call.input(2).at(n, c);
            return operand == 2 ? dy : dy * (call.input(3).at(n, c) - call.input(4).at(n, c));
        }
        const Tensor& strips = call.input(operand);
        double sum = 0;
        for (int64_t s = 0; s < strips.type.shape[1]; s++) sum += strips.at(n, c, s, 0);
        return sum;
    };
    for (int64_t n = 0; n < call.samples; n++) {
        for (int64_t c = 0; c < channels; c++) {
            double sum = 0, dot = 0;
            for (int64_t k = c / size * size; k < (c / size + 1) * size; k++) {
                sum += gamma.at(k) * over_strips(2, n, k);
                dot += gamma.at(k) * over_strips(3, n, k);
            }
            const auto total = static_cast<double>(size * op.count);
            const double i = inverse.at(n, c);
            results[0].at(n, c) = gamma.at(c) * i;
            results[1].at(n, c) = -std::pow(i, 3) * dot / total;
            results[2].at(n, c) = -i * sum / total;
            results[3].at(n, c) = over_strips(3, n, c) * i;
            results[4].at(n, c) = over_strips(2, n, c);
        }
    }
    return results;
}

}  // namespace

void add_normalization(Table& table) {
    table["batch_norm"] = batch_norm;
    table["group_coefficients"] = group_coefficients;
    table["group_norm"] = group_norm;
    table["group_statistics"] = group_statistics;
    table["merge_moments"] = merge_moments;
    table["partial_dots"] = partial_dots;
    table["partial_moments"] = partial_moments;
}

}  // namespace emulsion::reference
