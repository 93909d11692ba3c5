// Layers that work element by element.
#include <fmt/format.h>

#include "dsl/layer.h"

namespace emulsion {

using internal::Layer;
using internal::write_layer;

namespace {

// A layer that is one node, of the op `kind` with these attributes.
Tensor one_node(std::string_view kind, const std::string& name, const std::vector<Tensor>& operands,
                const Place& where, const internal::Attributes& attributes = {}) {
    return write_layer(kind, name, operands, where,
                       [&](Layer& layer, const std::vector<Value>& in) {
                           return layer.add("", kind, in, attributes);
                       });
}

// The same for two operands of one shape: a flattened map beside plain features is brought into
// their order.
Tensor of_two(std::string_view kind, const std::string& name, const Tensor& a, const Tensor& b,
              const Place& where) {
    return write_layer(kind, name, {a, b}, where, [&](Layer& layer, std::vector<Value> in) {
        const TensorType first = layer.type(in[0]), second = layer.type(in[1]);
        if (first.shape != second.shape) {
            layer.refuse("shape",
                         fmt::format("the operands are {} and {}, but must have one shape",
                                     to_string(first), to_string(second)),
                         "give both the same channels, height and width", in);
        }
        if (first.factors != second.factors) {
            for (Value& value : in) value = layer.plain_features(value);
        }
        return layer.add("", kind, in);
    });
}

}  // namespace

Tensor relu(const Tensor& x, const LayerOptions& options, Place where) {
    return one_node("relu", options.name, {x}, where);
}

Tensor leaky_relu(const Tensor& x, const LeakyReluOptions& options, Place where) {
    return one_node("leaky_relu", options.name, {x}, where, {{"slope", options.slope}});
}

Tensor tanh(const Tensor& x, const LayerOptions& options, Place where) {
    return one_node("tanh", options.name, {x}, where);
}

Tensor sigmoid(const Tensor& x, const LayerOptions& options, Place where) {
    return one_node("sigmoid", options.name, {x}, where);
}

Tensor softmax(const Tensor& x, const LayerOptions& options, Place where) {
    return write_layer("softmax", options.name, {x}, where,
                       [](Layer& layer, const std::vector<Value>& in) {
                           layer.expect_features(in[0]);
                           return layer.add("", "softmax", {layer.plain_features(in[0])});
                       });
}

Tensor add(const Tensor& a, const Tensor& b, const LayerOptions& options, Place where) {
    return of_two("add", options.name, a, b, where);
}

Tensor subtract(const Tensor& a, const Tensor& b, const LayerOptions& options, Place where) {
    return of_two("subtract", options.name, a, b, where);
}

Tensor multiply(const Tensor& a, const Tensor& b, const LayerOptions& options, Place where) {
    return of_two("multiply", options.name, a, b, where);
}

Tensor scale(const Tensor& x, double factor, const LayerOptions& options, Place where) {
    return one_node("scale", options.name, {x}, where, {{"factor", factor}});
}

}  // namespace emulsion
