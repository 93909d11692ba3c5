// Bilinear sampling at learnt offsets, and its gradients.
#include "compiler/ops/deform_sample.h"

#include <fmt/format.h>

#include <array>

#include "compiler/graph/limits.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/strict.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

// Shape

namespace {

void expect_kernel(const DeformAttributes& op) {
    if (op.kernel.size() == 2 && op.kernel[0] > 0 && op.kernel[1] > 0) return;
    fail("attribute", "kernel must be a height and a width", "give kernel=[height,width]");
}

// Type of the offsets for a map of height by width cells.
TensorType offsets_type(const DeformAttributes& op, int64_t height, int64_t width) {
    expect_kernel(op);
    const std::array<int64_t, 2> extents = {height, width};
    check_window(op.window(), extents, "filter");
    return batched_type(
        {2 * op.taps(), op.window().positions(0, height), op.window().positions(1, width)});
}

void expect_offsets(const TensorType& offsets, const TensorType& expected) {
    if (offsets == expected) return;
    fail("shape",
         fmt::format("the offsets are {}, but must be {}: down and right for each tap, at each "
                     "position",
                     to_string(offsets), to_string(expected)),
         fmt::format("make them with {} filters of the same kernel, stride, dilation and padding",
                     expected.shape[0]));
}

// Type of the result for a map of so many channels.
TensorType sampled_type(const DeformAttributes& op, int64_t channels, const TensorType& offsets) {
    return batched_type(
        {channels, offsets.shape[1] * op.kernel[0], offsets.shape[2] * op.kernel[1]});
}

}  // namespace

std::vector<TensorType> DeformSample::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 2);
    expect_map(inputs[0], "input");
    const std::vector<int64_t>& x = inputs[0].shape;
    expect_offsets(inputs[1], offsets_type(*this, x[1], x[2]));
    return {sampled_type(*this, x[0], inputs[1])};
}

std::vector<TensorType> DeformSampleBackwardData::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 2);
    expect_map(inputs[0], "gradient");
    if (input.size() != 2 || input[0] < 1 || input[1] < 1)
        fail("attribute", "input must be a height and a width", "give input=[height,width]");
    expect_offsets(inputs[1], offsets_type(*this, input[0], input[1]));
    expect_gradient_of(inputs[0], sampled_type(*this, inputs[0].shape[0], inputs[1]));
    return {batched_type({inputs[0].shape[0], input[0], input[1]})};
}

std::vector<TensorType> DeformSampleBackwardOffsets::infer(
    std::span<const TensorType> inputs) const {
    expect_operands(inputs, 3);
    expect_map(inputs[1], "input");
    const std::vector<int64_t>& x = inputs[1].shape;
    expect_offsets(inputs[2], offsets_type(*this, x[1], x[2]));
    expect_gradient_of(inputs[0], sampled_type(*this, x[0], inputs[2]));
    return {inputs[2]};
}

// Gradient

std::vector<Value> DeformSample::gradient(GradientContext& context) const {
    std::vector<Value> result(2);
    const Value dy = context.gradients[0], x = context.inputs[0], offsets = context.inputs[1];
    if (context.needed[0]) {
        auto op = std::make_shared<DeformSampleBackwardData>();
        static_cast<DeformAttributes&>(*op) = *this;
        const std::vector<int64_t>& shape = context.type(x).shape;
        op->input = {shape[1], shape[2]};
        result[0] = context.add("dx", op, {dy, offsets});
    }
    if (context.needed[1]) {
        auto op = std::make_shared<DeformSampleBackwardOffsets>();
        static_cast<DeformAttributes&>(*op) = *this;
        result[1] = context.add("doffsets", op, {dy, x, offsets});
    }
    return result;
}

// Lowering

namespace {

// The whole number below a place along an axis of `cells`, and how far behind it the place is.
struct Between {
    Expr at, share;
};

// Of output position `out` and tap `tap`.
Between between(const Window& window, int axis, int64_t cells, const Expr& out, const Expr& tap,
                const Expr& offset) {
    const auto a = static_cast<size_t>(axis);
    const Expr first = out * to_int(window.stride[a]) - to_int(window.before(axis)) +
                       tap * to_int(window.dilation[a]);
    const Strict moved = Strict(Halide::cast<float>(first)) + Strict(offset);
    const Expr place = Halide::clamp(Expr(moved), -2.0F, static_cast<float>(cells + 1));
    const Expr cut = Halide::cast<int32_t>(place);
    const Expr at = cut - Halide::select(place < Halide::cast<float>(cut), 1, 0);
    return {at, Strict(place) - Strict(Halide::cast<float>(at))};
}

// The four cells around a place, zero outside the map.
struct Corners {
    Expr upper_left, upper_right, lower_left, lower_right;
};

Corners corners_of(const Func& x, const TensorType& type, const Expr& c, const DeformPlace& place,
                   const Expr& n) {
    const int height = to_int(type.shape[1]), width = to_int(type.shape[2]);
    const auto cell = [&](const Expr& row, const Expr& column) {
        const Expr inside = row >= 0 && row < height && column >= 0 && column < width;
        return Halide::select(
            inside, x(c, Halide::clamp(column, 0, width - 1), Halide::clamp(row, 0, height - 1), n),
            0.0F);
    };
    return {cell(place.y, place.x), cell(place.y, place.x + 1), cell(place.y + 1, place.x),
            cell(place.y + 1, place.x + 1)};
}

// What is `share` of the way from a to b.
Strict mixed(const Expr& a, const Expr& b, const Expr& share) {
    return (Strict(1.0F) - Strict(share)) * Strict(a) + Strict(share) * Strict(b);
}

// What a cell gets of a place between `at` and the next one.
Expr share_of(const Expr& cell, const Expr& at, const Expr& share) {
    return choose(cell == at, Strict(1.0F) - Strict(share), choose(cell == at + 1, share, 0.0F));
}

}  // namespace

DeformPlace deform_place(const DeformAttributes& op, const Func& offsets, int64_t height,
                         int64_t width, const Expr& column, const Expr& row, const Expr& n) {
    const int kh = to_int(op.kernel[0]), kw = to_int(op.kernel[1]);
    const Expr i = row / kh, j = column / kw, p = row % kh, q = column % kw;
    const Expr t = 2 * (p * kw + q);
    const Between y = between(op.window(), 0, height, i, p, offsets(t, j, i, n));
    const Between x = between(op.window(), 1, width, j, q, offsets(t + 1, j, i, n));
    return {y.at, x.at, y.share, x.share};
}

std::vector<Func> DeformSample::lower(const LowerContext& context,
                                      const std::vector<Func>& inputs) const {
    const TensorType& map = context.inputs[0];
    Var c("c"), x("x"), y("y"), n("n");
    const DeformPlace place = deform_place(*this, inputs[1], map.shape[1], map.shape[2], x, y, n);
    const Corners cells = corners_of(inputs[0], map, c, place, n);
    Func out(context.name);  // (c, x, y, n)
    out(c, x, y, n) = mixed(mixed(cells.upper_left, cells.upper_right, place.right),
                            mixed(cells.lower_left, cells.lower_right, place.right), place.down);
    return {out};
}

// Every cell looks at every place: what the definition says, and slow.
std::vector<Func> DeformSampleBackwardData::lower(const LowerContext& context,
                                                  const std::vector<Func>& inputs) const {
    const std::vector<int64_t>& dy = context.inputs[0].shape;
    Var c("c"), x("x"), y("y"), n("n");
    const RDom r(0, to_int(dy[2]), 0, to_int(dy[1]), context.name + "__r");
    const DeformPlace place = deform_place(*this, inputs[1], input[0], input[1], r.x, r.y, n);
    const Strict share =
        Strict(share_of(y, place.y, place.down)) * Strict(share_of(x, place.x, place.right));
    Func out(context.name);  // (c, x, y, n)
    out(c, x, y, n) = 0.0F;
    out(c, x, y, n) = Strict(out(c, x, y, n)) + share * Strict(inputs[0](c, r.x, r.y, n));
    return {out};
}

std::vector<Func> DeformSampleBackwardOffsets::lower(const LowerContext& context,
                                                     const std::vector<Func>& inputs) const {
    const TensorType& map = context.inputs[1];
    const int kh = to_int(kernel[0]), kw = to_int(kernel[1]);
    Var c("c"), x("x"), y("y"), n("n");
    const RDom r(0, to_int(map.shape[0]), context.name + "__r");
    const Expr t = c / 2, column = x * kw + t % kw, row = y * kh + t / kw;
    const DeformPlace place =
        deform_place(*this, inputs[2], map.shape[1], map.shape[2], column, row, n);
    const Corners cells = corners_of(inputs[1], map, r, place, n);
    const Strict left = Strict(cells.lower_left) - Strict(cells.upper_left),
                 right = Strict(cells.lower_right) - Strict(cells.upper_right),
                 upper = Strict(cells.upper_right) - Strict(cells.upper_left),
                 lower = Strict(cells.lower_right) - Strict(cells.lower_left);
    const Strict slope =
        choose(c % 2 == 0, mixed(left, right, place.right), mixed(upper, lower, place.down));
    Func out(context.name);  // (c, x, y, n): c is down or right of a tap
    out(c, x, y, n) = 0.0F;
    out(c, x, y, n) = Strict(out(c, x, y, n)) + slope * Strict(inputs[0](r, column, row, n));
    return {out};
}

}  // namespace emulsion
