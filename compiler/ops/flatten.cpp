// Maps seen as features, and back.
#include "compiler/ops/flatten.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "compiler/graph/limits.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::Var;

std::vector<int64_t> flat_factors(int64_t channels, int64_t height, int64_t width) {
    if (channels == 1 || height * width == 1) return {};
    return {channels, height, width};
}

std::vector<int64_t> flat_factors(const std::vector<int64_t>& shape) {
    const int64_t channels = shape[0], width = shape.size() == 1 ? 1 : shape.back();
    int64_t height = 1;
    for (size_t axis = 1; axis + 1 < shape.size(); axis++) height *= shape[axis];
    return flat_factors(channels, height, width);
}

// Shape

namespace {

// A batched f32 tensor with at least two axes.
void expect_positions(const TensorType& type, std::string_view what) {
    if (!type.batched || type.shape.size() < 2) return expect_map(type, what);
    expect_f32(type, what);
}

}  // namespace

std::vector<TensorType> Flatten::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    if (inputs[0].batched && inputs[0].shape.size() == 1) return {inputs[0]};
    expect_positions(inputs[0], "input");
    TensorType type = batched_type({element_count(inputs[0])});
    type.factors = flat_factors(inputs[0].shape);
    return {type};
}

std::vector<TensorType> Unflatten::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_features(inputs[0], "input");
    const bool has_extents = std::ranges::all_of(shape, [](int64_t extent) { return extent > 0; });
    if (shape.size() < 2 || !has_extents) {
        fail("attribute",
             fmt::format("shape is [{}], but must name channels and the extents behind them",
                         fmt::join(shape, ",")),
             "give shape=[channels,height,width]");
    }
    const int64_t count = bounded_product(shape);
    if (inputs[0].shape[0] != count) {
        fail("shape",
             fmt::format(
                 "input has {} features, but a {} map has {}", inputs[0].shape[0],
                 fmt::join(shape, "x"),
                 count < 0 ? fmt::format("more than {}", kMostElements) : fmt::to_string(count)),
             "choose channels, height and width whose product is the number of features");
    }
    expect_same_order(inputs[0].factors, "input", flat_factors(shape), "result");
    return {batched_type(shape)};
}

std::vector<TensorType> View::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    const bool is_filter = !inputs[0].batched && inputs[0].shape.size() > 2;
    if (!is_filter && (!inputs[0].batched || inputs[0].shape.size() < 2))
        expect_map(inputs[0], "input");
    const std::vector<int64_t>& from = inputs[0].shape;
    const std::ptrdiff_t kept = is_filter ? 2 : 1;
    if (static_cast<std::ptrdiff_t>(shape.size()) <= kept ||
        !std::equal(from.begin(), from.begin() + kept, shape.begin()) ||
        bounded_product(shape) != element_count(inputs[0])) {
        fail("shape",
             fmt::format("[{}] is no view of {}: it must have the same {}", fmt::join(shape, ","),
                         to_string(inputs[0]),
                         is_filter ? "filters and channels, and as many taps"
                                   : "channels, and as many positions"),
             is_filter ? "give it the first two numbers of the filter"
                       : "give it two axes or more, or flatten the map first");
    }
    TensorType type = inputs[0];
    type.shape = shape;
    return {type};
}

// Gradient

std::vector<Value> Flatten::gradient(GradientContext& context) const {
    const TensorType& x = context.type(context.inputs[0]);
    if (x.shape.size() == 1) return {context.gradients[0]};
    auto op = std::make_shared<Unflatten>();
    op->shape = x.shape;
    return {context.add("dx", op, {context.gradients[0]})};
}

std::vector<Value> Unflatten::gradient(GradientContext& context) const {
    return {context.add("dx", std::make_shared<Flatten>(), {context.gradients[0]})};
}

std::vector<Value> View::gradient(GradientContext& context) const {
    auto op = std::make_shared<View>();
    op->shape = context.type(context.inputs[0]).shape;
    return {context.add("dx", op, {context.gradients[0]})};
}

// Lowering

namespace {

// The place in memory of a position of a map, beside its samples, or of a weight.
Expr memory_index(const TensorType& type, const std::vector<Expr>& at) {
    const std::vector<int64_t> extents = memory_extents(type);
    Expr index = at[extents.size() - 1];
    for (size_t i = extents.size() - 1; i-- > 0;) index = index * to_int(extents[i]) + at[i];
    return index;
}

// What lies at a place in memory, beside its samples.
std::vector<Expr> position_at(const TensorType& type, Expr index) {
    const std::vector<int64_t> extents = memory_extents(type);
    std::vector<Expr> at;
    for (size_t i = 0; i + 1 < extents.size(); i++) {
        at.push_back(index % to_int(extents[i]));
        index = index / to_int(extents[i]);
    }
    at.push_back(index);
    return at;
}

}  // namespace

std::vector<Func> Flatten::lower(const LowerContext& context,
                                 const std::vector<Func>& inputs) const {
    Var f("f"), n("n");
    Func out(context.name);  // (f, n)
    std::vector<Expr> at = position_at(context.inputs[0], f);
    at.push_back(n);
    out(f, n) = inputs[0](at);
    return {out};
}

std::vector<Func> Unflatten::lower(const LowerContext& context,
                                   const std::vector<Func>& inputs) const {
    const std::vector<Var> vars = coordinates(context.outputs[0]);
    Func out(context.name);  // (c, x, y, n)
    out(vars) = inputs[0](memory_index(context.outputs[0], as_exprs(vars)), vars.back());
    return {out};
}

std::vector<Func> View::lower(const LowerContext& context, const std::vector<Func>& inputs) const {
    const std::vector<Var> vars = coordinates(context.outputs[0]);
    std::vector<Expr> at =
        position_at(context.inputs[0], memory_index(context.outputs[0], as_exprs(vars)));
    if (context.outputs[0].batched) at.emplace_back(vars.back());
    Func out(context.name);
    out(vars) = inputs[0](at);
    return {out};
}

}  // namespace emulsion
