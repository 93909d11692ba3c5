// Axes in another order, channels in another order, axes in reverse.
#include "compiler/ops/transpose.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <functional>

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

std::vector<TensorType> Transpose::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    const TensorType& x = inputs[0];
    expect_channels(x, "input");
    std::vector<int64_t> sorted = order;
    std::ranges::sort(sorted);
    bool is_order = sorted.size() == x.shape.size();
    for (size_t i = 0; is_order && i < sorted.size(); i++)
        is_order = sorted[i] == static_cast<int64_t>(i);
    if (!is_order) {
        fail("attribute",
             fmt::format("the order is [{}], but {} has axes 0 to {} beside its samples",
                         fmt::join(order, ","), to_string(x), x.shape.size() - 1),
             "name each axis once; 0 is the channels");
    }
    TensorType type = x;
    for (size_t axis = 0; axis < order.size(); axis++)
        type.shape[axis] = x.shape[static_cast<size_t>(order[axis])];
    return {type};
}

std::vector<TensorType> ChannelShuffle::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_channels(inputs[0], "input");
    const int64_t channels = inputs[0].shape[0];
    if (groups < 1 || channels % groups != 0) {
        fail("groups",
             fmt::format("{} channels cannot be cut into {} equal groups", channels, groups),
             "choose a number of groups that divides the channels");
    }
    return {inputs[0]};
}

std::vector<TensorType> Flip::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    const TensorType& x = inputs[0];
    if (x.batched) {
        expect_channels(x, "input");
    } else {
        expect_f32(x, "input");
    }
    const int64_t first = x.batched ? 0 : 1;
    const int64_t last = static_cast<int64_t>(x.shape.size()) - 1;
    if (axes.empty() || !std::ranges::is_sorted(axes, std::less_equal<>()) ||
        axes.front() < first || axes.back() > last) {
        fail("attribute",
             fmt::format("the axes are [{}], but of {} those from {} to {} can be turned round",
                         fmt::join(axes, ","), to_string(x), first, last),
             "give each axis once, in ascending order");
    }
    return {x};
}

// Gradient

std::vector<Value> Transpose::gradient(GradientContext& context) const {
    auto op = std::make_shared<Transpose>();
    op->order.resize(order.size());
    for (size_t axis = 0; axis < order.size(); axis++)
        op->order[static_cast<size_t>(order[axis])] = static_cast<int64_t>(axis);
    return {context.add("dx", op, {context.gradients[0]})};
}

std::vector<Value> ChannelShuffle::gradient(GradientContext& context) const {
    auto op = std::make_shared<ChannelShuffle>();
    op->groups = context.type(context.inputs[0]).shape[0] / groups;
    return {context.add("dx", op, {context.gradients[0]})};
}

std::vector<Value> Flip::gradient(GradientContext& context) const {
    return {context.add("dx", std::make_shared<Flip>(*this), {context.gradients[0]})};
}

// Lowering

std::vector<Func> Transpose::lower(const LowerContext& context,
                                   const std::vector<Func>& inputs) const {
    const std::vector<Var> vars = coordinates(context.outputs[0]);
    std::vector<Expr> at = as_exprs(vars);
    const size_t rank = order.size();
    for (size_t axis = 0; axis < rank; axis++) {
        const auto from = static_cast<size_t>(order[axis]);
        at[coordinate_of(rank, from)] = vars[coordinate_of(rank, axis)];
    }
    Func out(context.name);
    out(vars) = inputs[0](at);
    return {out};
}

std::vector<Func> ChannelShuffle::lower(const LowerContext& context,
                                        const std::vector<Func>& inputs) const {
    const std::vector<Var> vars = coordinates(context.outputs[0]);
    std::vector<Expr> at = as_exprs(vars);
    const int rows = to_int(groups), columns = to_int(context.inputs[0].shape[0] / groups);
    at[0] = vars[0] % rows * columns + vars[0] / rows;
    Func out(context.name);
    out(vars) = inputs[0](at);
    return {out};
}

// A filter's memory is (lane, i, kx, ky, …, k): its first axis is split, the others lie between.
std::vector<Func> Flip::lower(const LowerContext& context, const std::vector<Func>& inputs) const {
    const TensorType& type = context.outputs[0];
    const std::vector<Var> vars = coordinates(type);
    std::vector<Expr> at = as_exprs(vars);
    const size_t rank = type.shape.size();
    for (int64_t axis : axes) {
        const auto index = static_cast<size_t>(axis);
        const size_t place = type.batched ? coordinate_of(rank, index)
                             : index == 1 ? 1
                                          : rank + 1 - index;
        at[place] = to_int(type.shape[index] - 1) - vars[place];
    }
    Func out(context.name);
    out(vars) = inputs[0](at);
    return {out};
}

}  // namespace emulsion
