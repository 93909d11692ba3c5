// Convolution of maps, its data gradient and its filter gradient.
#include "compiler/ops/conv2d.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/positions.h"
#include "compiler/ops/strict.h"
#include "compiler/ops/window_lowering.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

Window ConvAttributes::window(std::span<const int64_t> kernel) const {
    return {{kernel.begin(), kernel.end()}, stride, dilation, padding, /*ceil=*/false};
}

void ConvAttributes::visit(Fields& f) {
    f.field("stride", stride);
    f.field("dilation", dilation);
    f.field("padding", padding);
    f.field("groups", groups);
}

void Conv2dBackwardData::fields(Fields& f) {
    visit(f);
    f.field("input", input);
    f.field("rotated", rotated);
}

void Conv2dBackwardFilter::fields(Fields& f) {
    visit(f);
    f.field("kernel", kernel);
}

// Shape

namespace {

using Extents = std::span<const int64_t>;

// What lies behind the first axes of a shape: the positions of a map, the taps of a filter.
Extents behind(const std::vector<int64_t>& shape, size_t first) {
    return Extents(shape).subspan(std::min(first, shape.size()));
}

// Type of the forward result for an input of these positions.
TensorType result_type(const Window& window, int64_t channels, Extents input) {
    check_window(window, input, "filter");
    std::vector<int64_t> shape = {channels};
    for (int axis = 0; axis < window.axes(); axis++)
        shape.push_back(window.positions(axis, input[static_cast<size_t>(axis)]));
    return batched_type(shape);
}

// A filter for a map of so many axes of positions.
void expect_filter(const TensorType& type, size_t axes) {
    const char* names = axes == 1   ? "(out, in, k)"
                        : axes == 2 ? "(out, in, kh, kw)"
                                    : "(out, in, kd, kh, kw)";
    expect_parameter(type, axes + 2, "filter", names);
}

void expect_groups(const ConvAttributes& op, int64_t channels, int64_t filters) {
    if (op.groups >= 1 && channels % op.groups == 0 && filters % op.groups == 0) return;
    fail("groups",
         fmt::format("{} channels and {} filters cannot be cut into {} equal groups", channels,
                     filters, op.groups),
         "choose a number of groups that divides both");
}

}  // namespace

std::vector<TensorType> Conv2d::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 2);
    expect_any_map(inputs[0], "input");
    const std::vector<int64_t>& x = inputs[0].shape;
    expect_filter(inputs[1], x.size() - 1);
    const std::vector<int64_t>& w = inputs[1].shape;
    expect_groups(*this, x[0], w[0]);
    if (x[0] != w[1] * groups) {
        const std::string of = groups == 1 ? "" : fmt::format(" in {} groups", groups);
        fail("channels",
             fmt::format("input has {} channels{}, but the filter expects {}", x[0], of, w[1]),
             fmt::format("give the filter {} input channels", x[0] / groups));
    }
    return {result_type(window_of(inputs[1]), w[0], behind(x, 1))};
}

std::vector<TensorType> Conv2dBackwardData::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 2);
    expect_any_map(inputs[0], "gradient");
    expect_filter(inputs[1], inputs[0].shape.size() - 1);
    expect_extents("input", input, inputs[0]);
    const std::vector<int64_t>& w = inputs[1].shape;
    const int64_t out = rotated ? w[1] * groups : w[0], in = rotated ? w[0] : w[1] * groups;
    expect_groups(*this, in, out);
    expect_gradient_of(inputs[0], result_type(window_of(inputs[1]), out, input));
    std::vector<int64_t> shape = {in};
    shape.insert(shape.end(), input.begin(), input.end());
    return {batched_type(shape)};
}

std::vector<TensorType> Conv2dBackwardFilter::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 2);
    expect_any_map(inputs[0], "input");
    expect_any_map(inputs[1], "gradient");
    expect_extents("kernel", kernel, inputs[0]);
    const std::vector<int64_t>& x = inputs[0].shape;
    const int64_t out = inputs[1].shape[0];
    expect_groups(*this, x[0], out);
    expect_gradient_of(inputs[1], result_type(window(kernel), out, behind(x, 1)));
    std::vector<int64_t> shape = {out, x[0] / groups};
    shape.insert(shape.end(), kernel.begin(), kernel.end());
    return {plain_type(shape)};
}

int64_t Conv2d::multiply_adds(std::span<const TensorType> inputs) const {
    return element_count(inputs[1]) * element_count(infer(inputs)[0]) / inputs[1].shape[0];
}

int64_t Conv2dBackwardData::multiply_adds(std::span<const TensorType> inputs) const {
    return element_count(inputs[1]) * (element_count(inputs[0]) / inputs[0].shape[0]);
}

int64_t Conv2dBackwardFilter::multiply_adds(std::span<const TensorType> inputs) const {
    return window(kernel).taps() * inputs[0].shape[0] / groups * element_count(inputs[1]);
}

// Gradient

std::vector<Value> Conv2d::gradient(GradientContext& context) const {
    const Extents x = behind(context.type(context.inputs[0]).shape, 1);
    const Extents w = behind(context.type(context.inputs[1]).shape, 2);
    std::vector<Value> result(2);
    if (context.needed[0]) {
        auto op = std::make_shared<Conv2dBackwardData>();
        static_cast<ConvAttributes&>(*op) = *this;
        op->input.assign(x.begin(), x.end());
        result[0] = context.add("dx", op, {context.gradients[0], context.inputs[1]});
    }
    if (context.needed[1]) {
        auto op = std::make_shared<Conv2dBackwardFilter>();
        static_cast<ConvAttributes&>(*op) = *this;
        op->kernel.assign(w.begin(), w.end());
        result[1] = context.add("dw", op, {context.inputs[0], context.gradients[0]});
    }
    return result;
}

// It is linear in dy and in w, and the convolution's adjoint: what the gradient of its result goes
// through is that convolution, with the two exchanged for the filter.
std::vector<Value> Conv2dBackwardData::gradient(GradientContext& context) const {
    if (rotated) return Op::gradient(context);
    const Extents w = behind(context.type(context.inputs[1]).shape, 2);
    std::vector<Value> result(2);
    if (context.needed[0]) {
        auto op = std::make_shared<Conv2d>();
        static_cast<ConvAttributes&>(*op) = *this;
        result[0] = context.add("dx", op, {context.gradients[0], context.inputs[1]});
    }
    if (context.needed[1]) {
        auto op = std::make_shared<Conv2dBackwardFilter>();
        static_cast<ConvAttributes&>(*op) = *this;
        op->kernel.assign(w.begin(), w.end());
        result[1] = context.add("dw", op, {context.gradients[0], context.inputs[0]});
    }
    return result;
}

// Lowering

namespace {

constexpr int kLanes = static_cast<int>(kBlock);

// Channel `index` of the group that `of` belongs to, where a group has `each` of the ones and
// `size` of the others.
Expr in_group(int64_t groups, const Expr& of, int64_t each, const Expr& index, int64_t size) {
    return groups == 1 ? index : of / as_int(each) * as_int(size) + index;
}

// The domain 0 … first - 1, then those of the extents, the last one first, as in memory, and
// `last` where there is one.
RDom domain(const std::string& name, const Expr& first, Extents extents,
            const Expr& last = Expr()) {
    Halide::Region region;
    if (first.defined()) region.emplace_back(0, first);
    for (size_t axis = extents.size(); axis-- > 0;) region.emplace_back(0, as_int(extents[axis]));
    if (last.defined()) region.emplace_back(0, last);
    return {region, name};
}

// `count` coordinates of a domain from `first` on.
std::vector<Expr> part_of(const RDom& domain, int first, size_t count) {
    std::vector<Expr> part;
    for (size_t i = 0; i < count; i++) part.emplace_back(domain[first + static_cast<int>(i)]);
    return part;
}

// The same of variables.
std::vector<Expr> part_of(const std::vector<Var>& vars, size_t first, size_t count) {
    const auto begin = vars.begin() + static_cast<std::ptrdiff_t>(first);
    return {begin, begin + static_cast<std::ptrdiff_t>(count)};
}

std::vector<Expr> joined(const Expr& first, const std::vector<Expr>& middle, const Expr& last) {
    std::vector<Expr> all = {first};
    all.insert(all.end(), middle.begin(), middle.end());
    all.push_back(last);
    return all;
}

// A filter's weight of output channel k: (lane, i, taps …, block).
Expr read_filter(const Func& filter, const Expr& k, const Expr& i, const std::vector<Expr>& taps) {
    std::vector<Expr> at = {k % kLanes, i};
    at.insert(at.end(), taps.begin(), taps.end());
    at.push_back(k / kLanes);
    return filter(at);
}

// in(c, at …, n) where every position is inside, else zero.
Expr read_inside(const Func& in, const Expr& c, const std::vector<Position>& at, const Expr& n) {
    std::vector<Expr> cells;
    Expr inside = Halide::Internal::const_true();
    for (const Position& position : at) {
        cells.push_back(position.at);
        inside = cells.size() == 1 ? position.inside : inside && position.inside;
    }
    return value_or_zero(inside, in(joined(c, cells, n)));
}

// x(c, …, n) where the taps of an output position, both in memory order, lie inside the map, else
// zero.
Expr read_tap(const Func& in, const Window& window, const std::vector<int64_t>& shape,
              const Expr& c, const std::vector<Expr>& out, const std::vector<Expr>& tap,
              const Expr& n) {
    std::vector<Position> at;
    for (int axis = window.axes(); axis-- > 0;) {
        const size_t i = at.size();
        at.push_back(
            tap_position(window, axis, shape[static_cast<size_t>(axis) + 1], out[i], tap[i]));
    }
    return read_inside(in, c, at, n);
}

}  // namespace

std::vector<Func> Conv2d::lower(const LowerContext& context,
                                const std::vector<Func>& inputs) const {
    const std::vector<int64_t>& w = context.inputs[1].shape;
    const std::vector<Var> at = coordinates(context.outputs[0]);  // c, x, y, …, n
    const size_t axes = w.size() - 2;
    const RDom r = domain(context.name + "__r", as_int(w[1]), behind(w, 2));  // ic, kx, ky, …
    const std::vector<Expr> taps = part_of(r, 1, axes);
    const Expr channel = in_group(groups, at[0], w[0] / groups, r[0], w[1]);
    const Expr value = read_tap(inputs[0], window_of(context.inputs[1]), context.inputs[0].shape,
                                channel, part_of(at, 1, axes), taps, at.back());
    Func out(context.name);
    out(at) = 0.0F;
    out(at) = plus_product(out(at), value, read_filter(inputs[1], at[0], r[0], taps));
    return {out};
}

// The result gathers: for each tap, the one output whose tap read this cell, if there is one.
std::vector<Func> Conv2dBackwardData::lower(const LowerContext& context,
                                            const std::vector<Func>& inputs) const {
    const std::vector<int64_t>& dy = context.inputs[0].shape;
    const std::vector<int64_t>& w = context.inputs[1].shape;
    const Window window = window_of(context.inputs[1]);
    const std::vector<Var> vars = coordinates(context.outputs[0]);  // c, x, y, …, n
    const size_t axes = w.size() - 2;
    const int64_t in = rotated ? w[0] / groups : w[1], out_each = dy[0] / groups;
    const RDom r =
        domain(context.name + "__r", as_int(out_each), behind(w, 2));  // oc of a group, kx, ky, …
    const Expr from = in_group(groups, vars[0], in, r[0], out_each);
    const Expr to = groups == 1 ? Expr(vars[0]) : vars[0] % as_int(in);
    std::vector<Position> at;
    std::vector<Expr> taps = part_of(r, 1, axes);
    for (size_t i = 0; i < axes; i++) {
        const size_t axis = axes - 1 - i;
        at.push_back(
            reader_position(window, static_cast<int>(axis), dy[axis + 1], vars[i + 1], taps[i]));
        if (rotated) taps[i] = as_int(window.size[axis] - 1) - taps[i];
    }
    const Expr weight = rotated ? read_filter(inputs[1], vars[0], r[0], taps)
                                : read_filter(inputs[1], from, to, taps);
    Func out(context.name);
    out(vars) = 0.0F;
    out(vars) = plus_product(out(vars), read_inside(inputs[0], from, at, vars.back()), weight);
    return {out};
}

std::vector<Func> Conv2dBackwardFilter::lower(const LowerContext& context,
                                              const std::vector<Func>& inputs) const {
    const std::vector<int64_t>& dy = context.inputs[1].shape;
    const std::vector<Var> vars = coordinates(context.outputs[0]);  // lane, i, kx, ky, …, k
    const size_t axes = kernel.size();
    const RDom r = domain(context.name + "__r", Expr(), behind(dy, 1),
                          context.samples);  // x, y, …, n
    const std::vector<Expr> out_at = part_of(r, 0, axes);
    const Expr sample = r[static_cast<int>(axes)];
    const Expr channel = vars.back() * kLanes + vars[0];
    const Expr filter = Halide::min(channel, as_int(dy[0] - 1));
    const Expr from =
        in_group(groups, filter, dy[0] / groups, vars[1], context.inputs[0].shape[0] / groups);
    const Expr value = read_tap(inputs[0], window(kernel), context.inputs[0].shape, from, out_at,
                                part_of(vars, 2, axes), sample);
    const Expr gradient = inputs[1](joined(filter, out_at, sample));
    Func out(context.name);
    out(vars) = 0.0F;
    out(vars) =
        plus_product(out(vars), value, Halide::select(channel < as_int(dy[0]), gradient, 0.0F));
    return {out};
}

}  // namespace emulsion
