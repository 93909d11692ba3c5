// A parameter for each position of a map. In memory it is (lane, y, x, k), channels in blocks of
// lanes.
#include "compiler/ops/add_map.h"

#include <fmt/format.h>

#include "compiler/graph/limits.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/strict.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

// Shape

std::vector<TensorType> AddMap::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 2);
    expect_map(inputs[0], "input");
    expect_parameter(inputs[1], 3, "bias", "(channels, height, width)");
    if (inputs[0].shape != inputs[1].shape) {
        fail("shape",
             fmt::format("the bias is {}, but the map {}", to_string(inputs[1]),
                         to_string(inputs[0])),
             "give both the same channels, height and width");
    }
    return {inputs[0]};
}

std::vector<TensorType> SumSamples::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_map(inputs[0], "input");
    return {plain_type(inputs[0].shape)};
}

// Gradient

std::vector<Value> AddMap::gradient(GradientContext& context) const {
    std::vector<Value> result = {context.gradients[0], Value()};
    if (context.needed[1])
        result[1] = context.add("db", std::make_shared<SumSamples>(), {context.gradients[0]});
    return result;
}

// Lowering

namespace {

constexpr int kLanes = static_cast<int>(kBlock);

}  // namespace

std::vector<Func> AddMap::lower(const LowerContext& context,
                                const std::vector<Func>& inputs) const {
    Var c("c"), x("x"), y("y"), n("n");
    const Strict value(Expr(inputs[0](c, x, y, n)));
    const Strict bias(Expr(inputs[1](c % kLanes, y, x, c / kLanes)));
    Func out(context.name);  // (c, x, y, n)
    out(c, x, y, n) = Expr(value + bias);
    return {out};
}

std::vector<Func> SumSamples::lower(const LowerContext& context,
                                    const std::vector<Func>& inputs) const {
    Var lane("lane"), y("i"), x("kx"), k("k");
    RDom r(0, context.samples, context.name + "__r");
    const int channels = to_int(context.inputs[0].shape[0]);
    const Expr channel = k * kLanes + lane;
    const Expr value = inputs[0](Halide::min(channel, channels - 1), x, y, r.x);
    Func out(context.name);  // (lane, y, x, k)
    out(lane, y, x, k) = 0.0F;
    out(lane, y, x, k) =
        Strict(Expr(out(lane, y, x, k))) + Strict(Halide::select(channel < channels, value, 0.0F));
    return {out};
}

}  // namespace emulsion
