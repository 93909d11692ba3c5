// Joins tensors along an axis.
#include "compiler/ops/concatenate.h"

#include <fmt/format.h>

#include "compiler/graph/limits.h"
#include "compiler/ops/axes.h"
#include "compiler/ops/crop.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/slice.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;

// Shape

std::vector<TensorType> Concatenate::infer(std::span<const TensorType> inputs) const {
    if (inputs.empty())
        fail("operands", "it takes at least 1 operand, but 0 are given", "give it an operand");
    TensorType type = inputs[0];
    const auto along = static_cast<size_t>(axis);
    for (size_t i = 0; i < inputs.size(); i++) {
        const TensorType& next = inputs[i];
        expect_channels(next, "operand");
        if (i == 0) {
            expect_axis(axis, next);
            continue;
        }
        TensorType rest = next;
        if (next.shape.size() == type.shape.size()) rest.shape[along] = type.shape[along];
        if (rest != type) {
            fail("shape",
                 fmt::format("operand {} is {}, but operand 1 is {}: they may differ in {} only",
                             i + 1, to_string(next), to_string(inputs[0]),
                             axis_name(inputs[0], along)),
                 along == 0 ? "bring all operands to one height and width first"
                            : "bring all operands to the same extents of all other axes first");
        }
        type.shape[along] += next.shape[along];
    }
    return {type};
}

// Gradient

namespace {

// The op that takes a part of this shape, from `begin` on along an axis.
std::shared_ptr<const Op> part_of(const std::vector<int64_t>& shape, int64_t begin, int64_t axis) {
    if (axis == 0) {
        auto slice = std::make_shared<Slice>();
        slice->begin = begin;
        slice->count = shape[0];
        return slice;
    }
    auto crop = std::make_shared<Crop>();
    crop->begin.assign(shape.size(), 0);
    crop->begin[static_cast<size_t>(axis)] = begin;
    crop->count = shape;
    crop->step.assign(shape.size(), 1);
    return crop;
}

}  // namespace

std::vector<Value> Concatenate::gradient(GradientContext& context) const {
    std::vector<Value> result(context.inputs.size());
    int64_t begin = 0;
    for (size_t i = 0; i < context.inputs.size(); i++) {
        const std::vector<int64_t>& shape = context.type(context.inputs[i]).shape;
        if (context.needed[i]) {
            result[i] = context.add(fmt::format("d{}", i), part_of(shape, begin, axis),
                                    {context.gradients[0]});
        }
        begin += shape[static_cast<size_t>(axis)];
    }
    return result;
}

// Lowering

std::vector<Halide::Func> Concatenate::lower(const LowerContext& context,
                                             const std::vector<Halide::Func>& inputs) const {
    const std::vector<Halide::Var> vars = coordinates(context.outputs[0]);
    const auto along = static_cast<size_t>(axis);
    const size_t place = coordinate_of(context.outputs[0].shape.size(), along);
    const Expr cell = vars[place];
    int begin = to_int(context.outputs[0].shape[along]);
    Expr value;
    for (size_t i = inputs.size(); i-- > 0;) {
        const int count = to_int(context.inputs[i].shape[along]);
        const int end = begin;
        begin -= count;
        std::vector<Expr> at = as_exprs(vars);
        at[place] = inputs.size() == 1 ? cell : Halide::clamp(cell - begin, 0, count - 1);
        const Expr part = inputs[i](at);
        value = value.defined() ? Halide::select(cell < end, part, value) : part;
    }
    Halide::Func out(context.name);
    out(vars) = value;
    return {out};
}

}  // namespace emulsion
