// Convolution of maps, its data gradient and its filter gradient.
#include "compiler/ops/conv2d.h"

#include <fmt/format.h>

#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/window_lowering.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

Window ConvAttributes::window(int64_t kernel_height, int64_t kernel_width) const {
    return {{kernel_height, kernel_width}, stride, dilation, padding, /*ceil=*/false};
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

// Type of the forward result for an input of C x H x W and a filter (O, C, KH, KW).
TensorType result_type(const Window& window, int64_t channels, int64_t height, int64_t width) {
    check_window(window, height, width, "filter");
    return batched_type({channels, window.positions(0, height), window.positions(1, width)});
}

void expect_pair(std::string_view name, const std::vector<int64_t>& values) {
    if (values.size() == 2 && values[0] > 0 && values[1] > 0) return;
    fail("attribute", fmt::format("{} must be a height and a width", name),
         fmt::format("give {}=[height,width]", name));
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
    expect_map(inputs[0], "input");
    expect_parameter(inputs[1], 4, "filter", "(out, in, kh, kw)");
    const std::vector<int64_t>& x = inputs[0].shape;
    const std::vector<int64_t>& w = inputs[1].shape;
    expect_groups(*this, x[0], w[0]);
    if (x[0] != w[1] * groups) {
        const std::string of = groups == 1 ? "" : fmt::format(" in {} groups", groups);
        fail("channels",
             fmt::format("input has {} channels{}, but the filter expects {}", x[0], of, w[1]),
             fmt::format("give the filter {} input channels", x[0] / groups));
    }
    return {result_type(window(w[2], w[3]), w[0], x[1], x[2])};
}

std::vector<TensorType> Conv2dBackwardData::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 2);
    expect_map(inputs[0], "gradient");
    expect_parameter(inputs[1], 4, "filter", "(out, in, kh, kw)");
    expect_pair("input", input);
    const std::vector<int64_t>& w = inputs[1].shape;
    const int64_t out = rotated ? w[1] * groups : w[0], in = rotated ? w[0] : w[1] * groups;
    expect_groups(*this, in, out);
    expect_gradient_of(inputs[0], result_type(window(w[2], w[3]), out, input[0], input[1]));
    return {batched_type({in, input[0], input[1]})};
}

std::vector<TensorType> Conv2dBackwardFilter::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 2);
    expect_map(inputs[0], "input");
    expect_map(inputs[1], "gradient");
    expect_pair("kernel", kernel);
    const std::vector<int64_t>& x = inputs[0].shape;
    const int64_t out = inputs[1].shape[0];
    expect_groups(*this, x[0], out);
    expect_gradient_of(inputs[1], result_type(window(kernel[0], kernel[1]), out, x[1], x[2]));
    return {plain_type({out, x[0] / groups, kernel[0], kernel[1]})};
}

int64_t Conv2d::multiply_adds(std::span<const TensorType> inputs) const {
    return element_count(inputs[1]) * element_count(infer(inputs)[0]) / inputs[1].shape[0];
}

int64_t Conv2dBackwardData::multiply_adds(std::span<const TensorType> inputs) const {
    return element_count(inputs[1]) * inputs[0].shape[1] * inputs[0].shape[2];
}

int64_t Conv2dBackwardFilter::multiply_adds(std::span<const TensorType> inputs) const {
    return kernel[0] * kernel[1] * inputs[0].shape[0] / groups * element_count(inputs[1]);
}

// Gradient

std::vector<Value> Conv2d::gradient(GradientContext& context) const {
    const std::vector<int64_t>& x = context.type(context.inputs[0]).shape;
    const std::vector<int64_t>& w = context.type(context.inputs[1]).shape;
    std::vector<Value> result(2);
    if (context.needed[0]) {
        auto op = std::make_shared<Conv2dBackwardData>();
        static_cast<ConvAttributes&>(*op) = *this;
        op->input = {x[1], x[2]};
        result[0] = context.add("dx", op, {context.gradients[0], context.inputs[1]});
    }
    if (context.needed[1]) {
        auto op = std::make_shared<Conv2dBackwardFilter>();
        static_cast<ConvAttributes&>(*op) = *this;
        op->kernel = {w[2], w[3]};
        result[1] = context.add("dw", op, {context.inputs[0], context.gradients[0]});
    }
    return result;
}

// It is linear in dy and in w, and the convolution's adjoint: what the gradient of its result goes
// through is that convolution, with the two exchanged for the filter.
std::vector<Value> Conv2dBackwardData::gradient(GradientContext& context) const {
    if (rotated) return Op::gradient(context);
    const std::vector<int64_t>& w = context.type(context.inputs[1]).shape;
    std::vector<Value> result(2);
    if (context.needed[0]) {
        auto op = std::make_shared<Conv2d>();
        static_cast<ConvAttributes&>(*op) = *this;
        result[0] = context.add("dx", op, {context.gradients[0], context.inputs[1]});
    }
    if (context.needed[1]) {
        auto op = std::make_shared<Conv2dBackwardFilter>();
        static_cast<ConvAttributes&>(*op) = *this;
        op->kernel = {w[2], w[3]};
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

// x(c, ·, ·, n) where tap (kx, ky) of output (x, y) lies inside the map, else zero.
Expr read_tap(const Func& in, const Window& window, const std::vector<int64_t>& shape,
              const Expr& c, const std::vector<Expr>& out, const std::vector<Expr>& tap,
              const Expr& n) {
    const Position px = tap_position(window, 1, shape[2], out[0], tap[0]);
    const Position py = tap_position(window, 0, shape[1], out[1], tap[1]);
    return value_or_zero(px.inside && py.inside, in(c, px.at, py.at, n));
}

}  // namespace

std::vector<Func> Conv2d::lower(const LowerContext& context,
                                const std::vector<Func>& inputs) const {
    const std::vector<int64_t>& w = context.inputs[1].shape;
    Var c("c"), x("x"), y("y"), n("n");
    RDom r(0, as_int(w[1]), 0, as_int(w[3]), 0, as_int(w[2]), context.name + "__r");  // ic, kx, ky
    const Expr channel = in_group(groups, c, w[0] / groups, r.x, w[1]);
    const Expr value = read_tap(inputs[0], window(w[2], w[3]), context.inputs[0].shape, channel,
                                {x, y}, {r.y, r.z}, n);
    Func out(context.name);  // (c, x, y, n)
    out(c, x, y, n) = 0.0F;
    out(c, x, y, n) += value * inputs[1](c % kLanes, r.x, r.y, r.z, c / kLanes);
    return {out};
}

// The result gathers: for each tap, the one output whose tap read this cell, if there is one.
std::vector<Func> Conv2dBackwardData::lower(const LowerContext& context,
                                            const std::vector<Func>& inputs) const {
    const std::vector<int64_t>& dy = context.inputs[0].shape;
    const std::vector<int64_t>& w = context.inputs[1].shape;
    const Window taps = window(w[2], w[3]);
    Var c("c"), x("x"), y("y"), n("n");
    const int64_t in = rotated ? w[0] / groups : w[1], out_each = dy[0] / groups;
    RDom r(0, as_int(out_each), 0, as_int(w[3]), 0, as_int(w[2]),
           context.name + "__r");  // oc of a group, kx, ky
    const Expr from = in_group(groups, c, in, r.x, out_each);
    const Expr to = groups == 1 ? Expr(c) : c % as_int(in);
    const Position px = reader_position(taps, 1, dy[2], x, r.y);
    const Position py = reader_position(taps, 0, dy[1], y, r.z);
    const Expr weight = rotated ? inputs[1](c % kLanes, r.x, as_int(w[3] - 1) - r.y,
                                            as_int(w[2] - 1) - r.z, c / kLanes)
                                : inputs[1](from % kLanes, to, r.y, r.z, from / kLanes);
    Func out(context.name);  // (c, x, y, n)
    out(c, x, y, n) = 0.0F;
    out(c, x, y, n) +=
        value_or_zero(px.inside && py.inside, inputs[0](from, px.at, py.at, n)) * weight;
    return {out};
}

std::vector<Func> Conv2dBackwardFilter::lower(const LowerContext& context,
                                              const std::vector<Func>& inputs) const {
    const std::vector<int64_t>& dy = context.inputs[1].shape;
    Var lane("lane"), i("i"), kx("kx"), ky("ky"), k("k");
    RDom r(0, as_int(dy[2]), 0, as_int(dy[1]), 0, context.samples,
           context.name + "__r");  // x, y, n
    const Expr channel = k * kLanes + lane, filter = Halide::min(channel, as_int(dy[0] - 1));
    const Expr from =
        in_group(groups, filter, dy[0] / groups, i, context.inputs[0].shape[0] / groups);
    const Expr value = read_tap(inputs[0], window(kernel[0], kernel[1]), context.inputs[0].shape,
                                from, {r.x, r.y}, {kx, ky}, r.z);
    const Expr gradient = inputs[1](filter, r.x, r.y, r.z);
    Func out(context.name);  // (lane, i, kx, ky, k)
    out(lane, i, kx, ky, k) = 0.0F;
    out(lane, i, kx, ky, k) += value * Halide::select(channel < as_int(dy[0]), gradient, 0.0F);
    return {out};
}

}  // namespace emulsion
