// A range of channels, and its gradient.
#include "compiler/ops/slice.h"

#include <fmt/format.h>

#include "compiler/graph/limits.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;

// Shape

namespace {

void check_range(int64_t begin, int64_t count, int64_t channels) {
    if (begin >= 0 && count >= 1 && begin + count <= channels) return;
    fail("channels",
         fmt::format("channels {} to {} are asked for, but there are {}", begin, begin + count - 1,
                     channels),
         fmt::format("choose a range of at least one channel within 0 to {}", channels - 1));
}

}  // namespace

std::vector<TensorType> Slice::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_channels(inputs[0], "input");
    check_range(begin, count, inputs[0].shape[0]);
    TensorType type = inputs[0];
    type.shape[0] = count;
    return {type};
}

std::vector<TensorType> SliceBackward::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_channels(inputs[0], "gradient");
    check_range(begin, inputs[0].shape[0], channels);
    TensorType type = inputs[0];
    type.shape[0] = channels;
    return {type};
}

// Gradient

std::vector<Value> Slice::gradient(GradientContext& context) const {
    auto op = std::make_shared<SliceBackward>();
    op->begin = begin;
    op->channels = context.type(context.inputs[0]).shape[0];
    return {context.add("dx", op, {context.gradients[0]})};
}

// Lowering

std::vector<Halide::Func> Slice::lower(const LowerContext& context,
                                       const std::vector<Halide::Func>& inputs) const {
    const std::vector<Halide::Var> vars = coordinates(context.outputs[0]);
    std::vector<Expr> at = as_exprs(vars);
    at[0] = at[0] + to_int(begin);
    Halide::Func out(context.name);
    out(vars) = inputs[0](at);
    return {out};
}

std::vector<Halide::Func> SliceBackward::lower(const LowerContext& context,
                                               const std::vector<Halide::Func>& inputs) const {
    const std::vector<Halide::Var> vars = coordinates(context.outputs[0]);
    const int first = to_int(begin), count = to_int(context.inputs[0].shape[0]);
    std::vector<Expr> at = as_exprs(vars);
    const Expr c = at[0];
    at[0] = Halide::clamp(c - first, 0, count - 1);
    Halide::Func out(context.name);
    out(vars) = Halide::select(c >= first && c < first + count, inputs[0](at), 0.0F);
    return {out};
}

}  // namespace emulsion
