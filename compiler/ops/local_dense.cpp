// A dense layer for each position, its data gradient and that of its weights.
#include "compiler/ops/local_dense.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

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

namespace {

void expect_positions(const TensorType& map, std::string_view what) {
    if (!map.batched || map.shape.size() < 2) {
        fail("rank",
             fmt::format("the {} must be a map with samples, channels and positions, but is {}",
                         what, to_string(map)),
             "give it a map, or use dense for features");
    }
    expect_f32(map, what);
}

// That the weights have one axis for each of the map, which is their operand `axis` (0: the
// results, 1: the inputs).
void expect_weights(const TensorType& map, const TensorType& w, size_t axis,
                    std::string_view what) {
    expect_positions(map, what);
    expect_parameter(w, map.shape.size() + 1, "weights", "(out, in, positions)");
    std::vector<int64_t> wanted(w.shape.begin() + 1, w.shape.end());
    wanted[0] = w.shape[axis];
    if (map.shape == wanted) return;
    fail("shape",
         fmt::format("the {} is {}, but the weights {} are for [n,{}]", what, to_string(map),
                     to_string(w), fmt::join(wanted, ",")),
         "give the weights the channels and positions of the map");
}

// Type of a map with `channels` channels at the positions of `map`.
TensorType with_channels(const TensorType& map, int64_t channels) {
    TensorType type = map;
    type.shape[0] = channels;
    return type;
}

}  // namespace

std::vector<TensorType> LocalDense::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 2);
    expect_weights(inputs[0], inputs[1], 1, "input");
    return {with_channels(inputs[0], inputs[1].shape[0])};
}

std::vector<TensorType> LocalDenseBackwardData::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 2);
    expect_weights(inputs[0], inputs[1], 0, "gradient");
    return {with_channels(inputs[0], inputs[1].shape[1])};
}

std::vector<TensorType> LocalDenseBackwardWeights::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 2);
    expect_positions(inputs[0], "input");
    expect_gradient_of(inputs[1],
                       with_channels(inputs[0], inputs[1].shape.empty() ? 0 : inputs[1].shape[0]));
    std::vector<int64_t> shape = inputs[0].shape;
    shape.insert(shape.begin(), inputs[1].shape[0]);
    return {plain_type(std::move(shape))};
}

int64_t LocalDense::multiply_adds(std::span<const TensorType> inputs) const {
    return element_count(inputs[1]);
}

int64_t LocalDenseBackwardData::multiply_adds(std::span<const TensorType> inputs) const {
    return element_count(inputs[1]);
}

int64_t LocalDenseBackwardWeights::multiply_adds(std::span<const TensorType> inputs) const {
    return element_count(inputs[0]) * inputs[1].shape[0];
}

// Gradient

std::vector<Value> LocalDense::gradient(GradientContext& context) const {
    std::vector<Value> result(2);
    const Value dy = context.gradients[0];
    if (context.needed[0]) {
        result[0] =
            context.add("dx", std::make_shared<LocalDenseBackwardData>(), {dy, context.inputs[1]});
    }
    if (context.needed[1]) {
        result[1] = context.add("dw", std::make_shared<LocalDenseBackwardWeights>(),
                                {context.inputs[0], dy});
    }
    return result;
}

// Lowering

namespace {

constexpr int kLanes = static_cast<int>(kBlock);

// Coordinates (lane, i, positions, k) of the weights of result o and input i at the position of
// `at`, coordinates (c, positions, n) of a map.
std::vector<Expr> weight_at(const Expr& o, const Expr& i, const std::vector<Expr>& at) {
    std::vector<Expr> place = {o % kLanes, i};
    place.insert(place.end(), at.begin() + 1, at.end() - 1);
    place.push_back(o / kLanes);
    return place;
}

// The same position in a map, at channel c.
std::vector<Expr> at_channel(std::vector<Expr> at, const Expr& c) {
    at[0] = c;
    return at;
}

}  // namespace

std::vector<Func> LocalDense::lower(const LowerContext& context,
                                    const std::vector<Func>& inputs) const {
    const std::vector<Var> vars = coordinates(context.outputs[0]);
    const std::vector<Expr> at = as_exprs(vars);
    const RDom r(0, to_int(context.inputs[0].shape[0]), context.name + "__r");
    Func out(context.name);  // (c, positions, n)
    out(vars) = 0.0F;
    out(vars) += inputs[0](at_channel(at, r)) * inputs[1](weight_at(at[0], r, at));
    return {out};
}

std::vector<Func> LocalDenseBackwardData::lower(const LowerContext& context,
                                                const std::vector<Func>& inputs) const {
    const std::vector<Var> vars = coordinates(context.outputs[0]);
    const std::vector<Expr> at = as_exprs(vars);
    const RDom r(0, to_int(context.inputs[0].shape[0]), context.name + "__r");
    Func out(context.name);  // (c, positions, n)
    out(vars) = 0.0F;
    out(vars) += inputs[0](at_channel(at, r)) * inputs[1](weight_at(r, at[0], at));
    return {out};
}

std::vector<Func> LocalDenseBackwardWeights::lower(const LowerContext& context,
                                                   const std::vector<Func>& inputs) const {
    const std::vector<Var> vars = coordinates(context.outputs[0]);  // (lane, i, positions, k)
    const int filters = to_int(context.inputs[1].shape[0]);
    const RDom r(0, context.samples, context.name + "__r");
    std::vector<Expr> at = {vars[1]};
    at.insert(at.end(), vars.begin() + 2, vars.end() - 1);
    at.push_back(r);
    const Expr o = vars.back() * kLanes + vars[0];
    const Expr gradient = inputs[1](at_channel(at, Halide::min(o, filters - 1)));
    Func out(context.name);
    out(vars) = 0.0F;
    out(vars) =
        plus_product(out(vars), Expr(inputs[0](at)), Halide::select(o < filters, gradient, 0.0F));
    return {out};
}

}  // namespace emulsion
