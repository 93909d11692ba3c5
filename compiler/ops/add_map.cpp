// A parameter for each position of a map. In memory it is (lane, first axis, other axes, k), the
// last of these axes first, channels in blocks of lanes.
#include "compiler/ops/add_map.h"

#include <fmt/format.h>

#include "compiler/graph/limits.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/positions.h"
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
    expect_any_map(inputs[0], "input");
    const size_t rank = inputs[0].shape.size();
    expect_parameter(inputs[1], rank, "bias",
                     rank == 2   ? "(channels, length)"
                     : rank == 3 ? "(channels, height, width)"
                                 : "(channels, depth, height, width)");
    if (inputs[0].shape != inputs[1].shape) {
        fail("shape",
             fmt::format("the bias is {}, but the map {}", to_string(inputs[1]),
                         to_string(inputs[0])),
             rank == 3 ? "give both the same channels, height and width"
                       : "give both the same channels and extents");
    }
    return {inputs[0]};
}

std::vector<TensorType> SumSamples::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_any_map(inputs[0], "input");
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
    const std::vector<Var> vars = coordinates(context.outputs[0]);  // c, x, y, …, n
    const size_t axes = vars.size() - 2;
    std::vector<Expr> at = {vars[0] % kLanes, vars[axes]};
    for (size_t i = 1; i < axes; i++) at.emplace_back(vars[i]);
    at.emplace_back(vars[0] / kLanes);
    const Strict value(Expr(inputs[0](as_exprs(vars))));
    const Strict bias(Expr(inputs[1](at)));
    Func out(context.name);
    out(vars) = Expr(value + bias);
    return {out};
}

std::vector<Func> SumSamples::lower(const LowerContext& context,
                                    const std::vector<Func>& inputs) const {
    const std::vector<Var> vars = coordinates(context.outputs[0]);  // lane, first axis, …, k
    const size_t axes = vars.size() - 2;
    RDom r(0, context.samples, context.name + "__r");
    const int channels = to_int(context.inputs[0].shape[0]);
    const Expr channel = vars.back() * kLanes + vars[0];
    std::vector<Expr> at = {Halide::min(channel, channels - 1)};
    for (size_t i = 1; i < axes; i++) at.emplace_back(vars[i + 1]);
    at.emplace_back(vars[1]);
    at.emplace_back(r.x);
    Func out(context.name);
    out(vars) = 0.0F;
    out(vars) =
        Strict(Expr(out(vars))) + Strict(Halide::select(channel < channels, inputs[0](at), 0.0F));
    return {out};
}

}  // namespace emulsion
