// Arithmetic and elementary functions.
#include <fmt/format.h>

#include <algorithm>

#include "dsl/layer.h"

namespace emulsion {

using internal::Layer;
using internal::write_layer;
using internal::write_node;

namespace {

// Whether on each axis both extents are equal, or one is 1.
bool go_together(const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
    return std::ranges::equal(a, b,
                              [](int64_t m, int64_t n) { return m == n || m == 1 || n == 1; });
}

// Whether `small` is a number, or one value for each channel of `large`.
bool is_repeated(const std::vector<int64_t>& small, const std::vector<int64_t>& large) {
    return small.empty() || (small.size() == 1 && large.size() > 1 && small[0] == large[0]);
}

// A node of two operands that go together: a flattened map beside plain features is brought into
// their order.
Tensor of_two(std::string_view kind, const std::string& name, const Tensor& a, const Tensor& b,
              const Place& where) {
    return write_layer(kind, name, {a, b}, where, [&](Layer& layer, std::vector<Value> in) {
        const TensorType first = layer.type(in[0]), second = layer.type(in[1]);
        if (!go_together(first.shape, second.shape) && !is_repeated(first.shape, second.shape) &&
            !is_repeated(second.shape, first.shape)) {
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

Tensor add(const Tensor& a, const Tensor& b, const LayerOptions& options, Place where) {
    return of_two("add", options.name, a, b, where);
}

Tensor subtract(const Tensor& a, const Tensor& b, const LayerOptions& options, Place where) {
    return of_two("subtract", options.name, a, b, where);
}

Tensor multiply(const Tensor& a, const Tensor& b, const LayerOptions& options, Place where) {
    return of_two("multiply", options.name, a, b, where);
}

Tensor divide(const Tensor& a, const Tensor& b, const LayerOptions& options, Place where) {
    return of_two("divide", options.name, a, b, where);
}

Tensor maximum(const Tensor& a, const Tensor& b, const LayerOptions& options, Place where) {
    return of_two("maximum", options.name, a, b, where);
}

Tensor minimum(const Tensor& a, const Tensor& b, const LayerOptions& options, Place where) {
    return of_two("minimum", options.name, a, b, where);
}

Tensor scale(const Tensor& x, double factor, const LayerOptions& options, Place where) {
    return write_node("scale", options.name, {x}, where, {{"factor", factor}});
}

Tensor shift(const Tensor& x, double term, const LayerOptions& options, Place where) {
    return write_node("shift", options.name, {x}, where, {{"term", term}});
}

Tensor reciprocal(const Tensor& x, double numerator, const LayerOptions& options, Place where) {
    return write_node("reciprocal", options.name, {x}, where, {{"numerator", numerator}});
}

Tensor clip(const Tensor& x, double low, double high, const LayerOptions& options, Place where) {
    return write_node("clip", options.name, {x}, where, {{"low", low}, {"high", high}});
}

Tensor exp(const Tensor& x, const LayerOptions& options, Place where) {
    return write_node("exp", options.name, {x}, where);
}

Tensor log(const Tensor& x, const LayerOptions& options, Place where) {
    return write_node("log", options.name, {x}, where);
}

Tensor sqrt(const Tensor& x, const LayerOptions& options, Place where) {
    return write_node("sqrt", options.name, {x}, where);
}

Tensor abs(const Tensor& x, const LayerOptions& options, Place where) {
    return write_node("abs", options.name, {x}, where);
}

Tensor pow(const Tensor& x, double exponent, const LayerOptions& options, Place where) {
    return write_node("power", options.name, {x}, where, {{"exponent", exponent}});
}

// Operators: one of the operands is a tensor.

Tensor operator+(const Operand& a, const Operand& b) {
    if (a.tensor == nullptr) return shift(*b.tensor, a.number, {}, b.where);
    if (b.tensor == nullptr) return shift(*a.tensor, b.number, {}, a.where);
    return add(*a.tensor, *b.tensor, {}, a.where);
}

Tensor operator-(const Operand& a, const Operand& b) {
    if (a.tensor == nullptr) return shift(-b, a.number, {}, b.where);
    if (b.tensor == nullptr) return shift(*a.tensor, -b.number, {}, a.where);
    return subtract(*a.tensor, *b.tensor, {}, a.where);
}

Tensor operator*(const Operand& a, const Operand& b) {
    if (a.tensor == nullptr) return scale(*b.tensor, a.number, {}, b.where);
    if (b.tensor == nullptr) return scale(*a.tensor, b.number, {}, a.where);
    return multiply(*a.tensor, *b.tensor, {}, a.where);
}

Tensor operator/(const Operand& a, const Operand& b) {
    if (a.tensor == nullptr) return reciprocal(*b.tensor, a.number, {}, b.where);
    if (b.tensor != nullptr) return divide(*a.tensor, *b.tensor, {}, a.where);
    return write_layer(
        "scale", "", {*a.tensor}, a.where, [&](Layer& layer, const std::vector<Value>& in) {
            if (b.number == 0) {
                layer.refuse("attribute", "it is divided by 0", "divide by another number", in);
            }
            return layer.add("", "scale", in, {{"factor", 1 / b.number}});
        });
}

Tensor operator-(const Operand& x) { return write_node("negate", "", {*x.tensor}, x.where); }

}  // namespace emulsion
