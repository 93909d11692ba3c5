// Joins tensors along the channels.
#include "compiler/ops/concatenate.h"

#include <fmt/format.h>

#include "compiler/graph/limits.h"
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
    for (size_t i = 0; i < inputs.size(); i++) {
        const TensorType& next = inputs[i];
        expect_channels(next, "operand");
        if (i == 0) continue;
        TensorType rest = next;
        if (next.shape.size() == type.shape.size()) rest.shape[0] = type.shape[0];
        if (rest != type) {
            fail("shape",
                 fmt::format(
                     "operand {} is {}, but operand 1 is {}: they may differ in channels only",
                     i + 1, to_string(next), to_string(inputs[0])),
                 "bring all operands to one height and width first");
        }
        type.shape[0] += next.shape[0];
    }
    return {type};
}

// Gradient

std::vector<Value> Concatenate::gradient(GradientContext& context) const {
    std::vector<Value> result(context.inputs.size());
    int64_t begin = 0;
    for (size_t i = 0; i < context.inputs.size(); i++) {
        const int64_t count = context.type(context.inputs[i]).shape[0];
        if (context.needed[i]) {
            auto op = std::make_shared<Slice>();
            op->begin = begin;
            op->count = count;
            result[i] = context.add(fmt::format("d{}", i), op, {context.gradients[0]});
        }
        begin += count;
    }
    return result;
}

// Lowering

std::vector<Halide::Func> Concatenate::lower(const LowerContext& context,
                                             const std::vector<Halide::Func>& inputs) const {
    const std::vector<Halide::Var> vars = coordinates(context.outputs[0]);
    const Expr c = vars[0];
    int begin = to_int(context.outputs[0].shape[0]);
    Expr value;
    for (size_t i = inputs.size(); i-- > 0;) {
        const int count = to_int(context.inputs[i].shape[0]);
        const int end = begin;
        begin -= count;
        std::vector<Expr> at = as_exprs(vars);
        at[0] = inputs.size() == 1 ? c : Halide::clamp(c - begin, 0, count - 1);
        const Expr part = inputs[i](at);
        value = value.defined() ? Halide::select(c < end, part, value) : part;
    }
    Halide::Func out(context.name);
    out(vars) = value;
    return {out};
}

}  // namespace emulsion
