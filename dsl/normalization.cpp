// Layers that normalise, and layers that draw random numbers.
#include <fmt/format.h>

#include "dsl/layer.h"

namespace emulsion {

using internal::Layer;
using internal::write_layer;

// Normalisation

Tensor batch_norm(const Tensor& x, const BatchNormOptions& options, Place where) {
    return write_layer(
        "batch_norm", options.name, {x}, where, [&](Layer& layer, const std::vector<Value>& given) {
            Value in = layer.plain_features(given[0]);
            const TensorType type = layer.type(in);
            if (!type.batched || type.shape.empty()) layer.expect_map(in);
            if (!(options.momentum >= 0 && options.momentum <= 1)) {
                layer.refuse(
                    "attribute",
                    fmt::format("the momentum is {}, but must be 0 to 1", options.momentum),
                    "choose the weight of the new value, such as 0.1");
            }
            int64_t channels = type.shape[0];
            Value gamma = layer.parameter("gamma", plain_type({channels}), Init::ones());
            Value beta = layer.parameter("beta", plain_type({channels}), Init::zeros());
            Value mean = layer.state("running_mean", {channels}, 0);
            Value variance = layer.state("running_variance", {channels}, 1);
            Value y = layer.add("", "batch_norm", {in, gamma, beta, mean, variance},
                                {{"epsilon", options.epsilon}, {"momentum", options.momentum}});
            internal::Attributes average = {{"momentum", options.momentum},
                                            {"count", element_count(type) / channels}};
            layer.update(mean,
                         layer.add("next_mean", "running_average", {mean, {y.node, 1}}, average));
            average.emplace_back("unbiased", options.unbiased);
            layer.update(variance, layer.add("next_variance", "running_average",
                                             {variance, {y.node, 2}}, average));
            return y;
        });
}

namespace {

Tensor write_group_norm(std::string_view kind, const std::string& name, const Tensor& x,
                        int64_t groups, double epsilon, const Place& where) {
    return write_layer(kind, name, {x}, where, [&](Layer& layer, const std::vector<Value>& given) {
        Value in = layer.plain_features(given[0]);
        const TensorType type = layer.type(in);
        if (!type.batched || type.shape.empty()) layer.expect_map(in);
        const TensorType channels = plain_type({type.shape[0]});
        Value gamma = layer.parameter("gamma", channels, Init::ones());
        Value beta = layer.parameter("beta", channels, Init::zeros());
        return layer.add("", "group_norm", {in, gamma, beta},
                         {{"groups", groups}, {"epsilon", epsilon}});
    });
}

}  // namespace

Tensor group_norm(const Tensor& x, int groups, const GroupNormOptions& options, Place where) {
    return write_group_norm("group_norm", options.name, x, groups, options.epsilon, where);
}

Tensor instance_norm(const Tensor& x, const GroupNormOptions& options, Place where) {
    const std::vector<int64_t> shape = x.shape();
    return write_group_norm("instance_norm", options.name, x, shape.empty() ? 1 : shape[0],
                            options.epsilon, where);
}

Tensor layer_norm(const Tensor& x, const LayerNormOptions& options, Place where) {
    return write_group_norm("layer_norm", options.name, x, 1, options.epsilon, where);
}

Tensor local_response_norm(const Tensor& x, const LocalResponseNormOptions& options, Place where) {
    return write_layer(
        "local_response_norm", options.name, {x}, where,
        [&](Layer& layer, const std::vector<Value>& in) {
            if (options.size < 1) {
                layer.refuse("attribute",
                             fmt::format("the size is {}, but must be 1 or more", options.size),
                             "choose the channels of a window, such as 5");
            }
            const int64_t before = options.size / 2, after = (options.size - 1) / 2;
            const double share = options.average ? options.alpha / options.size : options.alpha;
            Value square = layer.add("square", "multiply", {in[0], in[0]});
            Value sum =
                layer.add("sum", "channel_sum", {square}, {{"before", before}, {"after", after}});
            Value part = layer.add("part", "scale", {sum}, {{"factor", share}});
            Value divisor = layer.add("divisor", "shift", {part}, {{"term", options.k}});
            Value factor = layer.add("factor", "power", {divisor}, {{"exponent", -options.beta}});
            return layer.add("", "multiply", {in[0], factor});
        });
}

// Randomness

namespace {

Tensor write_dropout(std::string_view kind, const Tensor& x, const DropoutOptions& options,
                     const Place& where) {
    return write_layer(
        kind, options.name, {x}, where, [&](Layer& layer, const std::vector<Value>& in) {
            if (!(options.rate >= 0 && options.rate < 1)) {
                layer.refuse(
                    "attribute",
                    fmt::format("the rate is {}, but must be at least 0 and below 1", options.rate),
                    "choose the share that is dropped, such as 0.5");
            }
            return layer.add_random("", kind, in[0], {{"rate", options.rate}});
        });
}

}  // namespace

Tensor dropout(const Tensor& x, const DropoutOptions& options, Place where) {
    return write_dropout("dropout", x, options, where);
}

Tensor spatial_dropout(const Tensor& x, const DropoutOptions& options, Place where) {
    return write_dropout("spatial_dropout", x, options, where);
}

Tensor gaussian_noise(const Tensor& x, const GaussianNoiseOptions& options, Place where) {
    return write_layer("gaussian_noise", options.name, {x}, where,
                       [&](Layer& layer, const std::vector<Value>& in) {
                           return layer.add_random("", "gaussian_noise", in[0],
                                                   {{"deviation", options.deviation}});
                       });
}

}  // namespace emulsion
