// Batch normalisation and the moments it is made of.
#include <cmath>

#include "compiler/ops/batch_norm.h"
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

std::vector<Tensor> partial_moments(const Call& call) {
    const Cells x(call.input(0));
    Tensor mean = call.output(0), m2 = call.output(1);
    for (int64_t n = 0; n < call.samples; n++) {
        for (int64_t c = 0; c < x.channels; c++) {
            for (int64_t i = 0; i < x.count; i++) mean.at(n, c) += x.at(n, c, i) / static_cast<double>(x.count);
            for (int64_t i = 0; i < x.count; i++) m2.at(n, c) += std::pow(x.at(n, c, i) - mean.at(n, c), 2);
        }
    }
    return {mean, m2};
}

std::vector<Tensor> merge_moments(const Call& call) {
    const Tensor &means = call.input(0), &m2 = call.input(1);
    const auto count = static_cast<double>(call.as<MergeMoments>().count);
    const auto samples = static_cast<double>(call.samples);
    Tensor mean = call.output(0), variance = call.output(1);
    for (int64_t c = 0; c < means.type.shape[0]; c++) {
        for (int64_t n = 0; n < call.samples; n++) mean.at(c) += means.at(n, c) / samples;
        for (int64_t n = 0; n < call.samples; n++) {
            variance.at(c) += (m2.at(n, c) + count * std::pow(means.at(n, c) - mean.at(c), 2)) / (samples * count);
        }
    }
    return {mean, variance};
}

std::vector<Tensor> partial_dots(const Call& call) {
    const Cells dy(call.input(0)), x(call.input(1));
    Tensor sum = call.output(0), dot = call.output(1);
    for (int64_t n = 0; n < call.samples; n++) {
        for (int64_t c = 0; c < x.channels; c++) {
            for (int64_t i = 0; i < x.count; i++) {
                sum.at(n, c) += dy.at(n, c, i);
                dot.at(n, c) += dy.at(n, c, i) * (x.at(n, c, i) - call.input(2).at(c));
            }
        }
    }
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
        each([&](int64_t n, int64_t i) { variance.at(c) += std::pow(x.at(n, c, i) - mean.at(c), 2) / total; });
        const double factor = call.input(1).at(c) / std::sqrt(variance.at(c) + call.as<BatchNorm>().epsilon);
        each([&](int64_t n, int64_t i) {
            y.values[static_cast<size_t>((n * x.channels + c) * x.count + i)] =
                (x.at(n, c, i) - mean.at(c)) * factor + call.input(2).at(c);
        });
    }
    return {y, mean, variance};
}

}  // namespace

void add_normalization(Table& table) {
    table["batch_norm"] = batch_norm;
    table["merge_moments"] = merge_moments;
    table["partial_dots"] = partial_dots;
    table["partial_moments"] = partial_moments;
}

}  // namespace emulsion::reference
