// Activations beside those of pointwise.cpp.
#include "dsl/layer.h"

namespace emulsion {

using internal::Layer;
using internal::write_layer;
using internal::write_node;

Tensor lecun_tanh(const Tensor& x, const LayerOptions& options, Place where) {
    return write_layer("lecun_tanh", options.name, {x}, where,
                       [](Layer& layer, const std::vector<Value>& in) {
                           Value inner = layer.add("inner", "scale", in, {{"factor", 2.0 / 3}});
                           Value bent = layer.add("tanh", "tanh", {inner});
                           return layer.add("", "scale", {bent}, {{"factor", 1.7159}});
                       });
}

Tensor elu(const Tensor& x, const EluOptions& options, Place where) {
    return write_node("elu", options.name, {x}, where, {{"alpha", options.alpha}});
}

Tensor silu(const Tensor& x, const LayerOptions& options, Place where) {
    return write_node("silu", options.name, {x}, where);
}

Tensor hard_sigmoid(const Tensor& x, const LayerOptions& options, Place where) {
    return write_node("hard_sigmoid", options.name, {x}, where);
}

Tensor hard_swish(const Tensor& x, const LayerOptions& options, Place where) {
    return write_node("hard_swish", options.name, {x}, where);
}

Tensor softplus(const Tensor& x, const LayerOptions& options, Place where) {
    return write_node("softplus", options.name, {x}, where);
}

Tensor gelu(const Tensor& x, const GeluOptions& options, Place where) {
    return write_node("gelu", options.name, {x}, where, {{"approximate", options.approximate}});
}

Tensor prelu(const Tensor& x, const PreluOptions& options, Place where) {
    return write_layer(
        "prelu", options.name, {x}, where, [&](Layer& layer, const std::vector<Value>& in) {
            std::vector<int64_t> shape;
            Value value = in[0];
            if (!options.shared) {
                value = layer.plain_features(value);
                const TensorType& type = layer.type(value);
                if (!type.batched || type.shape.empty()) layer.expect_map(value);
                shape = {type.shape[0]};
            }
            Value slope = layer.parameter("slope", plain_type(shape), Init::constant(options.init));
            return layer.add("", "prelu", {value, slope});
        });
}

}  // namespace emulsion
