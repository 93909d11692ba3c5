// Maximum, minimum and clip; comparisons are strict, so a NaN passes on every target.
#include "compiler/ops/extremes.h"

#include <fmt/format.h>

#include "compiler/ops/expect.h"
#include "compiler/ops/strict.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Exprs = std::vector<Halide::Expr>;

// Shape

std::vector<TensorType> Clip::infer(std::span<const TensorType> inputs) const {
    expect_number(low, "lower end");
    expect_number(high, "upper end");
    if (!(low < high)) {
        fail("attribute",
             fmt::format("the ends are {} and {}, but the lower one must be below", low, high),
             "give the lower end first");
    }
    return PointwiseOp::infer(inputs);
}

// Gradient

namespace {

// `flipped`: the smaller one counts.
std::vector<Value> extreme_gradient(GradientContext& context, bool flipped) {
    std::vector<Value> result(2);
    for (size_t i = 0; i < 2; i++) {
        if (!context.needed[i]) continue;
        const Value mine = context.inputs[i], other = context.inputs[1 - i];
        const Value part =
            context.add(i == 0 ? "da" : "db", std::make_shared<MaximumBackward>(),
                        {context.gradients[0], flipped ? other : mine, flipped ? mine : other});
        result[i] = context.reduce_to(part, context.type(mine));
    }
    return result;
}

}  // namespace

std::vector<Value> Maximum::gradient(GradientContext& context) const {
    return extreme_gradient(context, /*flipped=*/false);
}

std::vector<Value> Minimum::gradient(GradientContext& context) const {
    return extreme_gradient(context, /*flipped=*/true);
}

std::vector<Value> Clip::gradient(GradientContext& context) const {
    return {context.add("dx", std::make_shared<ClipBackward>(low, high),
                        {context.gradients[0], context.outputs[0]})};
}

// Lowering

namespace {

// `a` where it wins or is a NaN, else `b`.
Expr winner(const Expr& wins, const Strict& a, const Strict& b) {
    return choose(wins, a, choose(is_number(a), b, a));
}

}  // namespace

Expr Maximum::value(const Expr& a, const Expr& b) const {
    return winner(Strict(a) > Strict(b), Strict(a), Strict(b));
}

Expr Minimum::value(const Expr& a, const Expr& b) const {
    return winner(Strict(a) < Strict(b), Strict(a), Strict(b));
}

Exprs MaximumBackward::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    const Strict dy(operands[0]), a(operands[1]), b(operands[2]);
    return {choose(a > b, dy, choose(a < b, 0.0F, dy * 0.5F))};
}

Expr Clip::value(const Expr& argument) const {
    const Strict x(argument), least(low), most(high);
    return choose(x < least, least, choose(x > most, most, x));
}

Expr ClipBackward::value(const Expr& dy, const Expr& result) const {
    const Strict y(result);
    return choose(y > Strict(low) && y < Strict(high), Strict(dy), 0.0F);
}

}  // namespace emulsion
