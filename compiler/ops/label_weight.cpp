// How much labels count, and the mean of what is weighted so.
#include "compiler/ops/label_weight.h"

#include <fmt/format.h>

#include "compiler/ops/expect.h"
#include "compiler/ops/softmax_rows.h"
#include "compiler/ops/strict.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Exprs = std::vector<Halide::Expr>;

// Shape

std::vector<TensorType> LabelWeight::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    if (inputs[0].element != ElementType::i32 || !inputs[0].batched) {
        fail("element",
             fmt::format("the labels must be i32[n] or i32[n,1,H,W], but are {}",
                         to_string(inputs[0])),
             "give it the labels of a softmax_cross_entropy");
    }
    if (!class_weights.empty())
        expect_class_weights(class_weights, static_cast<int64_t>(class_weights.size()));
    expect_ignored(ignored);
    TensorType type = inputs[0];
    type.element = ElementType::f32;
    return {type};
}

std::vector<TensorType> WeightedMean::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 2);
    for (const TensorType& type : inputs) {
        if (type == plain_type({})) continue;
        fail("shape",
             fmt::format("the operands must be sums of type f32[], but one is {}", to_string(type)),
             "reduce it to its sum first");
    }
    return {inputs[0]};
}

std::optional<int64_t> LabelWeight::ignored_index(size_t) const {
    return ignored.empty() ? std::nullopt : std::optional(ignored[0]);
}

// Gradient

std::vector<Value> LabelWeight::gradient(GradientContext&) const { return {Value()}; }

std::vector<Value> WeightedMean::gradient(GradientContext& context) const {
    return {context.add("dsum", std::make_shared<WeightedMean>(),
                        {context.gradients[0], context.inputs[1]}),
            Value()};
}

// Lowering

std::vector<Func> LabelWeight::lower(const LowerContext& context,
                                     const std::vector<Func>& inputs) const {
    const std::vector<Halide::Var> at = coordinates(context.outputs[0]);
    const Expr label = inputs[0](as_exprs(at));
    Expr weight = class_weights.empty() ? Expr(1.0F) : choose_value(class_weights, label);
    if (!ignored.empty())
        weight = Halide::select(label == static_cast<int>(ignored[0]), 0.0F, weight);
    Func out(context.name);
    out(at) = weight;
    return {out};
}

Exprs WeightedMean::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    const Strict sum(operands[0]), weight(operands[1]);
    return {choose(weight > 0.0F, sum / weight, 0.0F)};
}

}  // namespace emulsion
