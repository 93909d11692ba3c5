// Some cells of each axis, and their gradient.
#include "compiler/ops/crop.h"

#include <fmt/format.h>

#include "compiler/graph/limits.h"
#include "compiler/ops/axes.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::Var;

// Shape

namespace {

// Whether `count` cells of each axis of `whole` are there.
void check_cells(const TensorType& whole, const std::vector<int64_t>& begin,
                 const std::vector<int64_t>& count, const std::vector<int64_t>& step) {
    for (size_t axis = 0; axis < whole.shape.size(); axis++) {
        const int64_t last = begin[axis] + (count[axis] - 1) * step[axis];
        if (last < whole.shape[axis]) continue;
        fail("shape",
             fmt::format("cells {} to {} along the {} are asked for, but there are {}", begin[axis],
                         last, axis_name(whole, axis), whole.shape[axis]),
             fmt::format("choose a range within 0 to {}", whole.shape[axis] - 1));
    }
}

}  // namespace

std::vector<TensorType> Crop::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_channels(inputs[0], "input");
    expect_numbers("begin", begin, inputs[0], 0, kMostElements);
    expect_numbers("count", count, inputs[0], 1, kMostElements);
    expect_numbers("step", step, inputs[0], 1, kMostElements);
    check_cells(inputs[0], begin, count, step);
    return {batched_type(count)};
}

std::vector<TensorType> CropBackward::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_channels(inputs[0], "gradient");
    expect_numbers("begin", begin, inputs[0], 0, kMostElements);
    expect_numbers("step", step, inputs[0], 1, kMostElements);
    expect_numbers("input", input, inputs[0], 1, kMostElements);
    const TensorType type = batched_type(input);
    check_cells(type, begin, inputs[0].shape, step);
    return {type};
}

// Gradient

std::vector<Value> Crop::gradient(GradientContext& context) const {
    auto op = std::make_shared<CropBackward>();
    op->begin = begin;
    op->step = step;
    op->input = context.type(context.inputs[0]).shape;
    return {context.add("dx", op, {context.gradients[0]})};
}

std::vector<Value> CropBackward::gradient(GradientContext& context) const {
    auto op = std::make_shared<Crop>();
    op->begin = begin;
    op->count = context.type(context.inputs[0]).shape;
    op->step = step;
    return {context.add("dx", op, {context.gradients[0]})};
}

// Lowering

std::vector<Func> Crop::lower(const LowerContext& context, const std::vector<Func>& inputs) const {
    const std::vector<Var> vars = coordinates(context.outputs[0]);
    std::vector<Expr> at = as_exprs(vars);
    for (size_t axis = 0; axis < begin.size(); axis++) {
        Expr& cell = at[coordinate_of(begin.size(), axis)];
        if (step[axis] != 1) cell = cell * to_int(step[axis]);
        if (begin[axis] != 0) cell = cell + to_int(begin[axis]);
    }
    Func out(context.name);
    out(vars) = inputs[0](at);
    return {out};
}

std::vector<Func> CropBackward::lower(const LowerContext& context,
                                      const std::vector<Func>& inputs) const {
    const std::vector<int64_t>& count = context.inputs[0].shape;
    const std::vector<Var> vars = coordinates(context.outputs[0]);
    std::vector<Expr> at = as_exprs(vars);
    Expr inside = Halide::Internal::const_true();
    for (size_t axis = 0; axis < begin.size(); axis++) {
        if (count[axis] == input[axis]) continue;
        Expr& cell = at[coordinate_of(begin.size(), axis)];
        const Expr from = cell - to_int(begin[axis]);
        const int each = to_int(step[axis]), last = to_int(count[axis] - 1);
        inside = inside && from >= 0 && from <= last * each;
        if (each != 1) inside = inside && from % each == 0;
        cell = Halide::clamp(each == 1 ? from : from / each, 0, last);
    }
    const bool is_whole = Halide::Internal::is_const_one(inside);
    Func dx(context.name);
    dx(vars) = is_whole ? Expr(inputs[0](at)) : Halide::select(inside, inputs[0](at), 0.0F);
    return {dx};
}

}  // namespace emulsion
