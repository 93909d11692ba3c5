// Batch normalisation as one node: its plain definition, and its gradient from the primitives of
// batch_norm_parts.h and moments.h.
#include "compiler/ops/batch_norm.h"

#include <fmt/format.h>

#include "compiler/graph/limits.h"
#include "compiler/ops/batch_norm_parts.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/moments.h"
#include "compiler/ops/strict.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

int64_t positions_of(const TensorType& type) { return element_count(type) / type.shape[0]; }

// Shape

std::vector<TensorType> BatchNorm::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 5);
    expect_epsilon(epsilon);
    expect_number(momentum, "momentum");
    expect_normalizable(inputs[0]);
    const TensorType channels = plain_type({inputs[0].shape[0]});
    for (const TensorType& type : inputs.subspan(1)) expect_channels(type, inputs[0]);
    return {inputs[0], channels, channels};
}

// Gradient

std::vector<Value> BatchNorm::gradient(GradientContext& context) const {
    if (context.gradients[1].defined() || context.gradients[2].defined()) {
        fail("no_gradient",
             fmt::format("'{}': the statistics of batch_norm have no gradient", context.name),
             "let the loss depend on the normalised values alone");
    }
    std::vector<Value> result(5);
    const Value dy = context.gradients[0], x = context.inputs[0], gamma = context.inputs[1];
    const Value mean = context.outputs[1], variance = context.outputs[2];
    const TensorType channels = context.type(mean);
    const Value parts = context.add("dots", std::make_shared<PartialDots>(), {dy, x, mean});
    const Value sum = context.reduce_to(parts, channels);
    const Value dot = context.reduce_to({parts.node, 1}, channels);
    auto coefficients = std::make_shared<BatchNormCoefficients>();
    coefficients->epsilon = epsilon;
    coefficients->count = positions_of(context.type(x));
    const Value a = context.add("coefficients", coefficients, {gamma, variance, sum, dot});
    if (context.needed[0]) {
        result[0] = context.add("dx", std::make_shared<BatchNormBackward>(),
                                {dy, x, mean, a, {a.node, 1}, {a.node, 2}});
    }
    if (context.needed[1]) result[1] = {a.node, 3};
    if (context.needed[2]) result[2] = sum;
    return result;
}

// Lowering

std::vector<Func> BatchNorm::lower(const LowerContext& context,
                                   const std::vector<Func>& inputs) const {
    const TensorType& type = context.inputs[0];
    const std::vector<int64_t> extents = memory_extents(type);
    const std::vector<Var> vars = coordinates(type);  // c, x, y, n
    const Var c = vars[0], k("k");
    Halide::Region ranges;
    for (size_t i = 1; i < extents.size(); i++) ranges.emplace_back(0, to_int(extents[i]));
    ranges.emplace_back(0, context.samples);
    const RDom r(ranges, "r");
    std::vector<Expr> at = {c};
    for (int i = 0; i < r.dimensions(); i++) at.emplace_back(r[i]);
    const Strict total(Halide::cast<float>(context.samples) *
                       static_cast<float>(positions_of(type)));

    Func sum(context.name + "__sum"), mean(context.name + "__mean");
    sum(c) = 0.0F;
    sum(c) = Strict(sum(c)) + Strict(inputs[0](at));
    mean(c) = Strict(sum(c)) / total;
    Func squares(context.name + "__squares"), variance(context.name + "__variance");
    const Strict deviation = Strict(inputs[0](at)) - Strict(mean(c));
    squares(c) = 0.0F;
    squares(c) = Strict(squares(c)) + deviation * deviation;
    variance(c) = Strict(squares(c)) / total;

    Func y(context.name), mean_out(context.name + "__1"), variance_out(context.name + "__2");
    const Strict factor = Strict(inputs[1](c)) / square_root(Strict(variance(c)) + Strict(epsilon));
    y(vars) = (Strict(inputs[0](as_exprs(vars))) - Strict(mean(c))) * factor + Strict(inputs[2](c));
    const TensorType& channels = context.outputs[1];
    const Expr valid = is_value(channels, {k}),
               inside = Halide::min(k, to_int(channels.shape[0]) - 1);
    mean_out(k) = Halide::select(valid, mean(inside), 0.0F);
    variance_out(k) = Halide::select(valid, variance(inside), 0.0F);
    return {y, mean_out, variance_out};
}

}  // namespace emulsion
