// Elementary functions, extremes, the activations beside the plain ones, and sums over neighbouring
// channels.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "compiler/ops/arithmetic.h"
#include "compiler/ops/channel_sum.h"
#include "compiler/ops/elementary.h"
#include "compiler/ops/extremes.h"
#include "compiler/ops/smooth_activations.h"
#include "tests/reference/elementwise.h"

namespace emulsion::reference {

namespace {

double absolute_backward(double dy, double x) { return x > 0 ? dy : x < 0 ? -dy : 0; }
double divide(double a, double b) { return a / b; }
double exponential(double x) { return std::exp(x); }
double logarithm(double x) { return std::log(x); }
double root(double x) { return std::sqrt(x); }
double absolute(double x) { return std::abs(x); }
double maximum(double a, double b) { return std::max(a, b); }
double minimum(double a, double b) { return std::min(a, b); }

double logistic(double x) { return 1 / (1 + std::exp(-x)); }
double silu(double x) { return x * logistic(x); }
double silu_backward(double dy, double x) {
    return dy * (logistic(x) + x * logistic(x) * (1 - logistic(x)));
}
double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }
double hard_sigmoid(double x) { return std::clamp(x + 3, 0.0, 6.0) / 6; }
double hard_sigmoid_backward(double dy, double y) { return y > 0 && y < 1 ? dy / 6 : 0; }
double hard_swish(double x) { return x * hard_sigmoid(x); }
double hard_swish_backward(double dy, double x) {
    return x < -3 ? 0 : x > 3 ? dy : dy * (2 * x + 3) / 6;
}
double prelu(double x, double slope) { return x > 0 ? x : x * slope; }
double prelu_slope_backward(double dy, double x) { return x > 0 ? 0 : dy * x; }

std::vector<Tensor> prelu_backward(const Call& call) {
    return map(call, [](const Numbers& x) { return Numbers{x[1] > 0 ? x[0] : x[0] * x[2]}; });
}

std::vector<Tensor> maximum_backward(const Call& call) {
    return map(call, [](const Numbers& x) {
        return Numbers{x[1] > x[2] ? x[0] : x[1] < x[2] ? 0 : x[0] / 2};
    });
}

std::vector<Tensor> clip(const Call& call) {
    const auto& op = call.as<Clip>();
    return map(call, [&](const Numbers& x) { return Numbers{std::clamp(x[0], op.low, op.high)}; });
}

std::vector<Tensor> clip_backward(const Call& call) {
    const auto& op = call.as<ClipBackward>();
    return map(call, [&](const Numbers& x) {
        return Numbers{x[1] > op.low && x[1] < op.high ? x[0] : 0};
    });
}

std::vector<Tensor> power(const Call& call) {
    const double exponent = call.as<Power>().exponent;
    return map(call, [&](const Numbers& x) { return Numbers{std::pow(x[0], exponent)}; });
}

std::vector<Tensor> reciprocal(const Call& call) {
    const double numerator = call.as<Reciprocal>().numerator;
    return map(call, [&](const Numbers& x) { return Numbers{numerator / x[0]}; });
}

std::vector<Tensor> shift(const Call& call) {
    return map(call, [&](const Numbers& x) { return Numbers{x[0] + call.as<Shift>().term}; });
}

std::vector<Tensor> elu(const Call& call) {
    const double alpha = call.as<Elu>().alpha;
    return map(call, [&](const Numbers& x) {
        return Numbers{x[0] > 0 ? x[0] : alpha * std::expm1(x[0])};
    });
}

std::vector<Tensor> elu_backward(const Call& call) {
    const double alpha = call.as<EluBackward>().alpha;
    return map(call,
               [&](const Numbers& x) { return Numbers{x[1] > 0 ? x[0] : x[0] * (x[1] + alpha)}; });
}

// The share below x of the standard normal distribution, or what gelu takes for it, and the
// derivative of that.
struct Share {
    Share(double x, bool approximate) {
        constexpr double kPi = std::numbers::pi;
        if (approximate) {
            const double u = std::sqrt(2 / kPi) * (x + 0.044715 * x * x * x);
            const double slope = std::sqrt(2 / kPi) * (1 + 3 * 0.044715 * x * x);
            below = (1 + std::tanh(u)) / 2;
            density = (1 - std::tanh(u) * std::tanh(u)) / 2 * slope;
        } else {
            below = std::erfc(-x / std::sqrt(2)) / 2;
            density = std::exp(-x * x / 2) / std::sqrt(2 * kPi);
        }
    }
    double below, density;
};

std::vector<Tensor> gelu(const Call& call) {
    const bool approximate = call.as<Gelu>().approximate;
    return map(call,
               [&](const Numbers& x) { return Numbers{x[0] * Share(x[0], approximate).below}; });
}

std::vector<Tensor> gelu_backward(const Call& call) {
    const bool approximate = call.as<GeluBackward>().approximate;
    return map(call, [&](const Numbers& x) {
        const Share share(x[1], approximate);
        return Numbers{x[0] * (share.below + x[1] * share.density)};
    });
}

std::vector<Tensor> channel_sum(const Call& call) {
    const auto& op = call.as<ChannelSum>();
    const Tensor& x = call.input(0);
    Tensor y = call.output();
    const int64_t channels = x.type.shape[0], cells = element_count(x.type) / channels;
    for (size_t i = 0; i < y.values.size(); i++) {
        const int64_t cell = static_cast<int64_t>(i) / cells, c = cell % channels;
        const int64_t first = std::max<int64_t>(0, c - op.before);
        const int64_t last = std::min(channels - 1, c + op.after);
        for (int64_t k = first; k <= last; k++)
            y.values[i] += x.values[static_cast<size_t>(static_cast<int64_t>(i) + (k - c) * cells)];
    }
    return {y};
}

}  // namespace

void add_elementary(Table& table) {
    table["abs"] = unary<absolute>;
    table["abs_backward"] = binary<absolute_backward>;
    table["channel_sum"] = channel_sum;
    table["clip"] = clip;
    table["clip_backward"] = clip_backward;
    table["divide"] = binary<divide>;
    table["elu"] = elu;
    table["elu_backward"] = elu_backward;
    table["exp"] = unary<exponential>;
    table["gelu"] = gelu;
    table["gelu_backward"] = gelu_backward;
    table["hard_sigmoid"] = unary<hard_sigmoid>;
    table["hard_sigmoid_backward"] = binary<hard_sigmoid_backward>;
    table["hard_swish"] = unary<hard_swish>;
    table["hard_swish_backward"] = binary<hard_swish_backward>;
    table["log"] = unary<logarithm>;
    table["maximum"] = binary<maximum>;
    table["maximum_backward"] = maximum_backward;
    table["minimum"] = binary<minimum>;
    table["power"] = power;
    table["prelu"] = binary<prelu>;
    table["prelu_backward"] = prelu_backward;
    table["prelu_slope_backward"] = binary<prelu_slope_backward>;
    table["reciprocal"] = reciprocal;
    table["shift"] = shift;
    table["silu"] = unary<silu>;
    table["silu_backward"] = binary<silu_backward>;
    table["softplus"] = unary<softplus>;
    table["sqrt"] = unary<root>;
}

}  // namespace emulsion::reference
