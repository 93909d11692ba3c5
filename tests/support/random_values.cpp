// What a random model makes of maps and features: norms, functions of values, sums, and joins.
#include "tests/support/random_model.h"

#include <algorithm>

#include "compiler/ops/sources.h"

namespace emulsion::test {

using internal::Layer;

namespace {

bool go_together(const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
    return std::ranges::equal(a, b,
                              [](int64_t m, int64_t n) { return m == n || m == 1 || n == 1; });
}

}  // namespace

Tensor RandomModel::normalized(const Tensor& x) {
    if (one_in(4)) {
        const int c = static_cast<int>(x.shape()[0]);
        return one_in(2) ? layer_norm(x, {.epsilon = 1e-2})
                         : group_norm(x, divisor_of(c), {.epsilon = 1e-2});
    }
    BatchNormOptions options;
    options.epsilon = of({1e-2, 1e-3});
    options.momentum = of({0.1, 0.25});
    options.unbiased = !one_in(3);
    return batch_norm(x, options);
}

Tensor RandomModel::composite(const Tensor& x) {
    const int c = static_cast<int>(x.shape()[0]);
    switch (below(3)) {
        case 0:
            return squeeze_excitation(x, {.units = 1 + below(3)});
        case 1:
            return highway(x, conv(x, c, {.padding = same, .activation = relu}),
                           {.kernel = of({1, 3}), .bias = of({-1.0, 0.5})});
        default:
            return maxout(x, channels(), {.pieces = of({2, 3}), .kernel = of({1, 3})});
    }
}

Tensor RandomModel::neighbours(const Tensor& x) {
    return local_response_norm(x, {.size = of({1, 3, 4, 5}),
                                   .alpha = of({0.1, 1.0}),
                                   .beta = of({0.75, 0.5, 0.6}),
                                   .k = of({1.0, 2.0}),
                                   .average = one_in(2)});
}

Tensor RandomModel::bent(const Tensor& x) {
    const std::vector<int64_t> shape = x.shape();
    switch (below(16)) {
        case 0:
            return elu(x, {.alpha = of({1.0, 0.5})});
        case 1:
            return silu(x);
        case 2:
            return hard_sigmoid(x);
        case 3:
            return hard_swish(x);
        case 4:
            return softplus(x);
        case 5:
            return gelu(x, {.approximate = one_in(2)});
        case 6:
            return prelu(x, {.shared = one_in(2)});
        case 7:
            return emulsion::exp(emulsion::tanh(x)) - 1;
        case 8:
            return emulsion::log(1.5 + emulsion::abs(x));
        case 9:
            return emulsion::sqrt(x * x + 0.5) * 0.5;
        case 10:
            return x / (1 + emulsion::abs(x));
        case 11:
            return emulsion::pow(1 + x * x, of({-0.5, 0.75, 0.3})) + 1 / (2 + x * x);
        case 12:
            return one_in(2) ? clip(x, -0.7, 1.1) : lecun_tanh(x);
        case 13:
            return one_in(2) ? gaussian_noise(x, {.deviation = 0.2})
                             : spatial_dropout(x, {.rate = 0.25});
        case 14:
            return x * model_.parameter(
                           "", one_in(2) ? std::vector<int64_t>{} : std::vector<int64_t>{shape[0]},
                           Init::ones());
        default:
            return x + model_.parameter("", shape, Init::normal(0.5));
    }
}

void RandomModel::pointwise(std::vector<Tensor>& tensors, const Tensor& x) {
    if (one_in(4)) return attempt(tensors, [&] { return bent(x); });
    attempt(tensors, [&] {
        switch (below(7)) {
            case 0:
                return leaky_relu(x, {.slope = 0.1});
            case 1:
                return emulsion::tanh(x);
            case 2:
                return sigmoid(x);
            case 3:
                return scale(x, of({0.5, -1.0, 3.0}));
            case 4:
                return dropout(x, {.rate = of({0.0, 0.25, 0.5})});
            default:
                return relu(x);
        }
    });
}

Tensor RandomModel::over_axes(const Tensor& x) {
    std::vector<int64_t> axes;
    for (int64_t axis = 0; axis < static_cast<int64_t>(x.shape().size()); axis++) {
        if (one_in(2)) axes.push_back(axis);
    }
    if (axes.empty()) axes = {0};
    return one_in(3) ? scale(sum(x, axes), 0.1) : mean(x, axes);
}

Tensor RandomModel::gated(const Tensor& x) {
    if (one_in(2)) return x * sigmoid(over_axes(x));
    const int64_t count = x.shape()[0];
    const Tensor all = dense(flatten(mean(x, {1, 2})), static_cast<int>(count));
    return x * reshape(sigmoid(all), {count, 1, 1});
}

void RandomModel::join(std::vector<Tensor>& tensors, const Tensor& x) {
    std::vector<Tensor> equal, beside;
    for (const Tensor& other : tensors) {
        std::vector<int64_t> shape = other.shape();
        if (go_together(shape, x.shape())) equal.push_back(other);
        shape[0] = x.shape()[0];
        if (shape == x.shape()) beside.push_back(other);
    }
    const Tensor with = equal[static_cast<size_t>(below(static_cast<int>(equal.size())))];
    const Tensor next = beside[static_cast<size_t>(below(static_cast<int>(beside.size())))];
    attempt(tensors, [&] {
        switch (below(6)) {
            case 5:
                return one_in(2) ? maximum(x, with) : minimum(x, with);
            case 0:
                return x * with;
            case 1:
                return x - with;
            case 2:
                if (one_in(2)) return side_by_side(x);
                return one_in(3) ? concatenate({x, next, x}) : concatenate({next, x});
            default:
                return x + with;
        }
    });
}

Tensor RandomModel::side_by_side(const Tensor& x) {
    const auto layer = [&](const Tensor& from) {
        if (from.shape().size() != 3) return dense(from, 1 + below(20));
        const int kernel = of({1, 3});
        return conv(from, channels(), {.kernel = kernel, .padding = same});
    };
    const Tensor both =
        concatenate({relu(layer(x)), one_in(2) ? emulsion::tanh(layer(x)) : layer(x)});
    const Tensor all = one_in(2) ? concatenate({both, layer(both)}) : both;
    return one_in(3) ? all : emulsion::tanh(all);
}

Tensor RandomModel::raw(const Tensor& x) {
    return internal::write_layer(
        "raw", "", {x}, Place::current(), [&](Layer& layer, const std::vector<Value>& in) {
            const int64_t count = layer.type(in[0]).shape[0];
            if (count == 1 || one_in(3)) return layer.add("", "negate", in);
            const int64_t begin = below(static_cast<int>(count));
            return layer.add(
                "", "slice", in,
                {{"begin", begin}, {"count", int64_t{1} + below(static_cast<int>(count - begin))}});
        });
}

Tensor RandomModel::shared(const Tensor& x, const std::string& kind, size_t rank) {
    return internal::write_layer(
        "shared", "", {x}, Place::current(), [&](Layer& layer, const std::vector<Value>& in) {
            const Graph& graph = layer.model().builder.graph();
            std::vector<Value> weights;
            for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++) {
                if (graph.op_as<Parameter>(i) == nullptr) continue;
                const std::vector<int64_t>& shape = graph.type({i, 0}).shape;
                if (shape.size() == rank && shape[1] == layer.type(in[0]).shape[0])
                    weights.push_back({i, 0});
            }
            if (weights.empty()) layer.refuse("shared", "no weights fit", "take others");
            const Value w = weights[static_cast<size_t>(below(static_cast<int>(weights.size())))];
            const std::vector<int64_t> shape = layer.type(w).shape;
            if (rank != 4) return layer.add("", kind, {in[0], w});
            const std::vector<int64_t> padding = {shape[2] / 2, shape[2] / 2, shape[3] / 2,
                                                  shape[3] / 2};
            return layer.add("", kind, {in[0], w}, {{"padding", padding}});
        });
}

}  // namespace emulsion::test
