// Layers that work element by element.
#include <fmt/format.h>

#include <algorithm>

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

// Whether on each axis both extents are equal, or one is 1.
bool go_together(const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
    return std::ranges::equal(a, b,
                              [](int64_t m, int64_t n) { return m == n || m == 1 || n == 1; });
}

// The same for two operands that go together: a flattened map beside plain features is brought into
// their order.
Tensor of_two(std::string_view kind, const std::string& name, const Tensor& a, const Tensor& b,
              const Place& where) {
    return write_layer(kind, name, {a, b}, where, [&](Layer& layer, std::vector<Value> in) {
        const TensorType first = layer.type(in[0]), second = layer.type(in[1]);
        if (!go_together(first.shape, second.shape)) {
            layer.refuse(
                "shape",
                fmt::format("the operands are {} and {}, but must have one shape or extents of 1",
                            to_string(first), to_string(second)),
                "give both the same channels, height and width, or 1 of what is to be repeated",
                in);
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

Tensor relu6(const Tensor& x, const LayerOptions& options, Place where) {
    return one_node("relu6", options.name, {x}, where);
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
