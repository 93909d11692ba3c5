// Elementwise arithmetic, rounded as written (compiler/ops/strict.h).
#include "compiler/ops/arithmetic.h"

#include "compiler/ops/expect.h"
#include "compiler/ops/strict.h"

namespace emulsion {

using Halide::Expr;
using Exprs = std::vector<Halide::Expr>;

// Shape

std::vector<TensorType> Scale::infer(std::span<const TensorType> inputs) const {
    expect_number(factor, "factor");
    return PointwiseOp::infer(inputs);
}

std::vector<TensorType> Shift::infer(std::span<const TensorType> inputs) const {
    expect_number(term, "term");
    return PointwiseOp::infer(inputs);
}

bool Add::is_monotone(std::span<const TensorType> inputs) const {
    const bool is_bias = !inputs[1].batched && inputs[1].shape.size() == 1;
    return is_bias && infer(inputs)[0] == inputs[0];
}

// Gradient

std::vector<Value> Add::gradient(GradientContext& context) const {
    std::vector<Value> result(2);
    for (size_t i = 0; i < 2; i++) {
        if (context.needed[i]) {
            result[i] = context.reduce_to(context.gradients[0], context.type(context.inputs[i]));
        }
    }
    return result;
}

std::vector<Value> Subtract::gradient(GradientContext& context) const {
    std::vector<Value> result(2);
    const Value dy = context.gradients[0];
    if (context.needed[0]) result[0] = context.reduce_to(dy, context.type(context.inputs[0]));
    if (context.needed[1]) {
        const Value sum = context.reduce_to(dy, context.type(context.inputs[1]));
        result[1] = context.add("db", std::make_shared<Negate>(), {sum});
    }
    return result;
}

std::vector<Value> Multiply::gradient(GradientContext& context) const {
    std::vector<Value> result(2);
    for (size_t i = 0; i < 2; i++) {
        if (!context.needed[i]) continue;
        const Value product = context.add(i == 0 ? "da" : "db", std::make_shared<Multiply>(),
                                          {context.gradients[0], context.inputs[1 - i]});
        result[i] = context.reduce_to(product, context.type(context.inputs[i]));
    }
    return result;
}

// da = dy / b, db = -da * y
std::vector<Value> Divide::gradient(GradientContext& context) const {
    std::vector<Value> result(2);
    const Value share =
        context.add("share", std::make_shared<Divide>(), {context.gradients[0], context.inputs[1]});
    if (context.needed[0]) result[0] = context.reduce_to(share, context.type(context.inputs[0]));
    if (context.needed[1]) {
        const Value product =
            context.add("product", std::make_shared<Multiply>(), {share, context.outputs[0]});
        const Value sum = context.reduce_to(product, context.type(context.inputs[1]));
        result[1] = context.add("db", std::make_shared<Negate>(), {sum});
    }
    return result;
}

std::vector<Value> Negate::gradient(GradientContext& context) const {
    return {context.add("dx", std::make_shared<Negate>(), {context.gradients[0]})};
}

std::vector<Value> Scale::gradient(GradientContext& context) const {
    return {context.add("dx", std::make_shared<Scale>(factor), {context.gradients[0]})};
}

std::vector<Value> Shift::gradient(GradientContext& context) const {
    return {context.gradients[0]};
}

// Lowering

Exprs Add::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    return {Strict(operands[0]) + Strict(operands[1])};
}

Exprs Subtract::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    return {Strict(operands[0]) - Strict(operands[1])};
}

Exprs Multiply::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    return {Strict(operands[0]) * Strict(operands[1])};
}

Exprs Divide::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    return {Strict(operands[0]) / Strict(operands[1])};
}

Exprs Negate::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    return {Strict(0.0F) - Strict(operands[0])};
}

Exprs Scale::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    return {Strict(operands[0]) * Strict(factor)};
}

Exprs Shift::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    return {Strict(operands[0]) + Strict(term)};
}

}  // namespace emulsion
