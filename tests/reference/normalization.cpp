// Batch normalisation and the moments it is made of.
#include <algorithm>
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
    Tensor sum = call.output(0), dot = call.output(1);
    each_strip(sum, [&](int64_t n, int64_t c, int64_t s) {
        const Strip strip(call.input(1).type, s);
        for (int64_t i = strip.first; i < strip.last; i++) {
            sum.at(n, c, s, 0) += dy.at(n, c, i);
            dot.at(n, c, s, 0) += dy.at(n, c, i) * (x.at(n, c, i) - call.input(2).at(c));
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

}  // namespace

void add_normalization(Table& table) {
    table["batch_norm"] = batch_norm;
    table["merge_moments"] = merge_moments;
    table["partial_dots"] = partial_dots;
    table["partial_moments"] = partial_moments;
}

}  // namespace emulsion::reference
