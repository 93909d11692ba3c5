// Features between a map's order in memory and plain order.
#include "compiler/ops/unfactor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/graph/limits.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/flatten.h"
#include "compiler/ops/lowering.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::Var;

// Shape

std::vector<TensorType> Unfactor::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_features(inputs[0], "input");
    return {batched_type(inputs[0].shape)};
}

std::vector<TensorType> Factor::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_features(inputs[0], "input");
    if (factors.size() != 3 || bounded_product(factors) != inputs[0].shape[0]) {
        fail("attribute",
             fmt::format("factors are [{}], but their product must be the number of features, {}",
                         fmt::join(factors, ","), inputs[0].shape[0]),
             "give factors=[channels,height,width] of the map");
    }
    TensorType type = batched_type(inputs[0].shape);
    type.factors = flat_factors(factors[0], factors[1], factors[2]);
    return {type};
}

// Gradient

std::vector<Value> Unfactor::gradient(GradientContext& context) const {
    const std::vector<int64_t>& factors = context.type(context.inputs[0]).factors;
    if (factors.empty()) return {context.gradients[0]};
    auto op = std::make_shared<Factor>();
    op->factors = factors;
    return {context.add("dx", op, {context.gradients[0]})};
}

std::vector<Value> Factor::gradient(GradientContext& context) const {
    const std::vector<int64_t>& from = context.type(context.inputs[0]).factors;
    if (from.empty())
        return {context.add("dx", std::make_shared<Unfactor>(), {context.gradients[0]})};
    auto op = std::make_shared<Factor>();
    op->factors = from;
    return {context.add("dx", op, {context.gradients[0]})};
}

// Lowering

namespace {

// Where feature `f` of a map's logical order lies in the memory of features with such factors.
Expr place_of(const Expr& f, const std::vector<int64_t>& factors) {
    if (factors.empty()) return f;
    const int channels = to_int(factors[0]), cells = to_int(factors[1] * factors[2]);
    return (f % cells) * channels + f / cells;
}

}  // namespace

std::vector<Func> Unfactor::lower(const LowerContext& context,
                                  const std::vector<Func>& inputs) const {
    Var f("f"), n("n");
    Func out(context.name);  // (f, n), f = c * H * W + y * W + x
    out(f, n) = inputs[0](place_of(f, context.inputs[0].factors), n);
    return {out};
}

std::vector<Func> Factor::lower(const LowerContext& context,
                                const std::vector<Func>& inputs) const {
    const int channels = to_int(factors[0]), cells = to_int(factors[1] * factors[2]);
    Var f("f"), n("n");
    Func out(context.name);  // (f, n), f = (y * W + x) * C + c
    const Expr logical = (f % channels) * cells + f / channels;
    out(f, n) = inputs[0](place_of(logical, context.inputs[0].factors), n);
    return {out};
}

}  // namespace emulsion
