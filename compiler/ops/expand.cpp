// Repeats a tensor over a larger shape.
#include "compiler/ops/expand.h"

#include <fmt/format.h>

#include "compiler/ops/arithmetic.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/strict.h"
#include "compiler/ops/window_lowering.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;

// Shape

std::vector<TensorType> Expand::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    const TensorType& x = inputs[0];
    expect_f32(x, "input");
    expect_number(scale, "scale");
    const TensorType type = {ElementType::f32, batched, shape, factors};
    if (!is_broadcastable(x, type)) {
        fail("shape", fmt::format("{} cannot be repeated over {}", to_string(x), to_string(type)),
             "give it a scalar, one value per sample, per channel, or per sample and channel, or a "
             "tensor of as many axes whose extents are the same or 1");
    }
    return {type};
}

// Gradient

std::vector<Value> Expand::gradient(GradientContext& context) const {
    if (per_sample) return Op::gradient(context);
    const Value sum = context.reduce_to(context.gradients[0], context.type(context.inputs[0]));
    if (scale == 1) return {sum};
    return {context.add("dx", std::make_shared<Scale>(scale), {sum})};
}

// Lowering

std::vector<Halide::Func> Expand::lower(const LowerContext& context,
                                        const std::vector<Halide::Func>& inputs) const {
    const TensorType& type = context.outputs[0];
    const std::vector<Halide::Var> vars = coordinates(type);
    const std::vector<Expr> at = as_exprs(vars);
    Strict value(read_broadcast(inputs[0], context.inputs[0], type, at));
    if (scale != 1) value = value * Strict(scale);
    if (per_sample) value = value / Strict(samples_f32(context));
    Halide::Func out(context.name);
    out(vars) = value_or_zero(is_value(type, at), value);
    return {out};
}

}  // namespace emulsion
