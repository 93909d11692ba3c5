// Layers made of other layers. Their parts are named NAME.PART; the last one is NAME itself.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "dsl/layer.h"

namespace emulsion {

using internal::composite_name;
using internal::Layer;
using internal::write_layer;

namespace {

bool is_map(const Tensor& x) { return x.shape().size() > 1; }

int channels_of(const Tensor& x) {
    const std::vector<int64_t> shape = x.shape();
    return shape.empty() ? 1 : static_cast<int>(shape[0]);  // empty: a mistake, which is known
}

}  // namespace

Tensor maxout(const Tensor& x, int units, const MaxoutOptions& options, Place where) {
    const std::string name = composite_name(x, "maxout", options.name);
    const int pieces = options.pieces;
    if (pieces < 2) {
        return write_layer("maxout", name, {x}, where, [&](Layer& layer, const auto&) -> Value {
            layer.refuse("attribute",
                         fmt::format("it has {} pieces, but must have 2 or more", pieces),
                         "choose 2 pieces or more; one is a dense layer or a convolution");
        });
    }
    Tensor largest;
    for (int i = 1; i <= pieces; i++) {
        const std::string part = fmt::format("{}.piece{}", name, i);
        const Tensor piece = is_map(x)
                                 ? conv(x, units,
                                        {.kernel = options.kernel,
                                         .padding = same,
                                         .init = options.init,
                                         .name = part},
                                        where)
                                 : dense(x, units, {.init = options.init, .name = part}, where);
        const std::string both = i == pieces ? name : fmt::format("{}.largest{}", name, i);
        largest = i == 1 ? piece : maximum(largest, piece, {.name = both}, where);
    }
    return largest;
}

Tensor highway(const Tensor& x, const Tensor& layer, const HighwayOptions& options, Place where) {
    const std::string name = composite_name(x, "highway", options.name);
    const Init init = Init::glorot(), bias = Init::constant(options.bias);
    const Tensor gate =
        is_map(x)
            ? conv(x, channels_of(x),
                   {.kernel = options.kernel,
                    .padding = same,
                    .init = init,
                    .bias_init = bias,
                    .activation = sigmoid,
                    .name = name + ".gate"},
                   where)
            : dense(
                  x, channels_of(x),
                  {.init = init, .bias_init = bias, .activation = sigmoid, .name = name + ".gate"},
                  where);
    const Tensor taken = multiply(gate, layer, {.name = name + ".taken"}, where);
    const Tensor rest = shift(scale(gate, -1, {.name = name + ".negated"}, where), 1,
                              {.name = name + ".rest"}, where);
    const Tensor carried = multiply(rest, x, {.name = name + ".carried"}, where);
    return add(taken, carried, {.name = name}, where);
}

// One number a sample, which is 1 before some are dropped.
Tensor stochastic_depth(const Tensor& layer, const StochasticDepthOptions& options, Place where) {
    const std::string name = composite_name(layer, "stochastic_depth", options.name);
    Tensor one = layer;
    for (int64_t axis = 0; axis < static_cast<int64_t>(layer.shape().size()); axis++) {
        const std::string part = fmt::format("{}.cell{}", name, axis);
        one = slice(one, {.axis = axis, .end = 1, .name = part}, where);
    }
    one = shift(scale(one, 0, {.name = name + ".zero"}, where), 1, {.name = name + ".one"}, where);
    const Tensor kept = dropout(one, {.rate = options.rate, .name = name + ".kept"}, where);
    return multiply(layer, kept, {.name = name}, where);
}

Tensor squeeze_excitation(const Tensor& x, const SqueezeExcitationOptions& options, Place where) {
    const std::string name = composite_name(x, "squeeze_excitation", options.name);
    const int channels = channels_of(x);
    int units = options.units;  // 0 is refused by the layer, as is a ratio below 1
    if (units == 0 && options.ratio >= 1) units = std::max(1, channels / options.ratio);
    Tensor s = global_average_pool(x, {.name = name + ".mean"}, where);
    s = dense(s, units,
              {.activation = options.activation.apply ? options.activation : Activation(relu),
               .name = name + ".squeeze"},
              where);
    s = dense(s, channels,
              {.init = Init::glorot(),
               .activation = options.gate.apply ? options.gate : Activation(sigmoid),
               .name = name + ".excite"},
              where);
    return multiply(x, s, {.name = name}, where);
}

Tensor mish(const Tensor& x, const LayerOptions& options, Place where) {
    const std::string name = composite_name(x, "mish", options.name);
    const Tensor gate =
        tanh(softplus(x, {.name = name + ".softplus"}, where), {.name = name + ".gate"}, where);
    return multiply(x, gate, {.name = name}, where);
}

}  // namespace emulsion
