// Activations.
#include "dsl/layer.h"

namespace emulsion {

using internal::Layer;
using internal::write_layer;
using internal::write_node;

namespace {

// A node whose classes are features in the plain order, or the channels of a map, which a volume is
// seen as.
Tensor over_classes(const char* kind, const Tensor& x, const LayerOptions& options,
                    const Place& where) {
    return write_layer(
        kind, options.name, {x}, where, [&](Layer& layer, const std::vector<Value>& in) {
            const std::vector<int64_t> shape = layer.type(in[0]).shape;
            if (shape.size() != 4) return layer.add("", kind, {layer.plain_features(in[0])});
            const std::vector<int64_t> map = {shape[0], shape[1] * shape[2], shape[3]};
            const Value seen = layer.add("map", "view", in, {{"shape", map}});
            return layer.add("volume", "view", {layer.add("", kind, {seen})}, {{"shape", shape}});
        });
}

}  // namespace

Tensor relu(const Tensor& x, const LayerOptions& options, Place where) {
    return write_node("relu", options.name, {x}, where);
}

Tensor relu6(const Tensor& x, const LayerOptions& options, Place where) {
    return write_node("relu6", options.name, {x}, where);
}

Tensor leaky_relu(const Tensor& x, const LeakyReluOptions& options, Place where) {
    return write_node("leaky_relu", options.name, {x}, where, {{"slope", options.slope}});
}

Tensor tanh(const Tensor& x, const LayerOptions& options, Place where) {
    return write_node("tanh", options.name, {x}, where);
}

Tensor sigmoid(const Tensor& x, const LayerOptions& options, Place where) {
    return write_node("sigmoid", options.name, {x}, where);
}

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

Tensor softmax(const Tensor& x, const LayerOptions& options, Place where) {
    return over_classes("softmax", x, options, where);
}

Tensor log_softmax(const Tensor& x, const LayerOptions& options, Place where) {
    return over_classes("log_softmax", x, options, where);
}

}  // namespace emulsion
