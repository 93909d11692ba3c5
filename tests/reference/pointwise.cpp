// Elementwise ops: arithmetic, activations, dropout and the pointwise parts of batch normalisation.
#include <algorithm>
#include <cmath>

#include "compiler/ops/activations.h"
#include "compiler/ops/arithmetic.h"
#include "compiler/ops/batch_norm_parts.h"
#include "tests/reference/elementwise.h"

namespace emulsion::reference {

namespace {

double negate(double x) { return -x; }
double relu(double x) { return x > 0 ? x : 0; }
double relu6(double x) { return x > 0 ? std::min(x, 6.0) : 0; }
double logistic(double x) { return 1 / (1 + std::exp(-x)); }
double tangent(double x) { return std::tanh(x); }
double add(double a, double b) { return a + b; }
double subtract(double a, double b) { return a - b; }
double multiply(double a, double b) { return a * b; }
double relu_backward(double dy, double y) { return y > 0 ? dy : 0; }
double relu6_backward(double dy, double y) { return y > 0 && y < 6 ? dy : 0; }
double tanh_backward(double dy, double y) { return dy * (1 - y * y); }
double sigmoid_backward(double dy, double y) { return dy * y * (1 - y); }

std::vector<Tensor> scale(const Call& call) {
    return map(call, [&](const Numbers& x) { return Numbers{x[0] * call.as<Scale>().factor}; });
}

std::vector<Tensor> leaky_relu(const Call& call) {
    return map(call, [&](const Numbers& x) {
        return Numbers{x[0] > 0 ? x[0] : x[0] * call.as<LeakyRelu>().slope};
    });
}

std::vector<Tensor> leaky_relu_backward(const Call& call) {
    const double slope = call.as<LeakyReluBackward>().slope;
    return map(call, [&](const Numbers& x) { return Numbers{x[1] > 0 ? x[0] : x[0] * slope}; });
}

std::vector<Tensor> normalize(const Call& call) {
    return map(call, [](const Numbers& x) { return Numbers{(x[0] - x[1]) * x[2] + x[3]}; });
}

std::vector<Tensor> batch_norm_factor(const Call& call) {
    const double epsilon = call.as<BatchNormFactor>().epsilon;
    return map(call, [&](const Numbers& x) { return Numbers{x[0] / std::sqrt(x[1] + epsilon)}; });
}

std::vector<Tensor> coefficients(const Call& call) {
    const auto& op = call.as<BatchNormCoefficients>();
    const auto total = static_cast<double>(call.samples * op.count);
    return map(call, [&](const Numbers& x) {
        const double inverse = 1 / std::sqrt(x[1] + op.epsilon);
        return Numbers{x[0] * inverse, -x[0] * std::pow(inverse, 3) * x[3] / total,
                       -x[0] * inverse * x[2] / total, x[3] * inverse};
    });
}

std::vector<Tensor> batch_norm_backward(const Call& call) {
    return map(call,
               [](const Numbers& x) { return Numbers{x[3] * x[0] + x[4] * (x[1] - x[2]) + x[5]}; });
}

std::vector<Tensor> running_average(const Call& call) {
    const auto& op = call.as<RunningAverage>();
    const auto total = static_cast<double>(call.samples * op.count);
    const double factor = op.unbiased && total > 1 ? total / (total - 1) : 1;
    return map(call, [&](const Numbers& x) {
        return Numbers{(1 - op.momentum) * x[0] + op.momentum * factor * x[1]};
    });
}

std::vector<Tensor> scale_shift(const Call& call) {
    return map(call, [](const Numbers& x) { return Numbers{x[0] * x[1] + x[2]}; });
}

std::vector<Tensor> batch_norm_fold(const Call& call) {
    const double epsilon = call.as<BatchNormFold>().epsilon;
    return map(call, [&](const Numbers& x) {
        const double factor = x[0] / std::sqrt(x[3] + epsilon);
        return Numbers{factor, x[1] - x[2] * factor};
    });
}

}  // namespace

void add_pointwise(Table& table) {
    table["add"] = binary<add>;
    table["batch_norm_backward"] = batch_norm_backward;
    table["batch_norm_coefficients"] = coefficients;
    table["batch_norm_factor"] = batch_norm_factor;
    table["batch_norm_fold"] = batch_norm_fold;
    table["leaky_relu"] = leaky_relu;
    table["leaky_relu_backward"] = leaky_relu_backward;
    table["multiply"] = binary<multiply>;
    table["negate"] = unary<negate>;
    table["normalize"] = normalize;
    table["relu"] = unary<relu>;
    table["relu6"] = unary<relu6>;
    table["relu6_backward"] = binary<relu6_backward>;
    table["relu_backward"] = binary<relu_backward>;
    table["running_average"] = running_average;
    table["scale"] = scale;
    table["scale_filter"] = binary<multiply>;
    table["scale_shift"] = scale_shift;
    table["sigmoid"] = unary<logistic>;
    table["sigmoid_backward"] = binary<sigmoid_backward>;
    table["subtract"] = binary<subtract>;
    table["tanh"] = unary<tangent>;
    table["tanh_backward"] = binary<tanh_backward>;
}

}  // namespace emulsion::reference
