// The mean of each window, and its gradient.
#include "compiler/ops/average_pool.h"

#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/strict.h"
#include "compiler/ops/window_lowering.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

void AveragePool::fields(Fields& f) {
    visit(f);
    f.field("count_padding", count_padding);
}

void AveragePoolBackward::fields(Fields& f) {
    visit(f);
    f.field("count_padding", count_padding);
    f.field("input", input);
}

// Shape

std::vector<TensorType> AveragePool::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_map(inputs[0], "input");
    return {result_type(inputs[0])};
}

std::vector<TensorType> AveragePoolBackward::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    return {input_type(inputs[0], input)};
}

bool AveragePool::tiles(const TensorType& type) const {
    return sliding().tiles(type.shape[1], type.shape[2]);
}

OpClass AveragePoolBackward::op_class() const {
    return covers_once(input) ? OpClass::gather : OpClass::window;
}

// Gradient

std::vector<Value> AveragePool::gradient(GradientContext& context) const {
    auto op = std::make_shared<AveragePoolBackward>();
    static_cast<PoolAttributes&>(*op) = *this;
    op->count_padding = count_padding;
    const std::vector<int64_t>& x = context.type(context.inputs[0]).shape;
    op->input = {x[1], x[2]};
    return {context.add("dx", op, {context.gradients[0]})};
}

// Lowering

namespace {

constexpr int64_t kMostTerms = 32;  // of a sum written out; longer ones become loops

// Cells of window position `out` along an axis that count.
Expr counted(const Window& window, int axis, int64_t in, const Expr& out, bool count_padding) {
    const auto index = static_cast<size_t>(axis);
    if (!window.leaves(axis, in)) return as_int(window.size[index]);
    const Expr begin = out * as_int(window.stride[index]) - as_int(window.before(axis));
    const int64_t far = count_padding ? in + window.after(axis) : in;
    const Expr end = Halide::min(begin + as_int(window.size[index]), as_int(far));
    return count_padding ? end - begin : end - Halide::max(begin, 0);
}

// 1 / number of cells of window (x, y) that count.
Expr share(const Window& window, const std::vector<int64_t>& map, const Expr& x, const Expr& y,
           bool count_padding) {
    return 1.0F / Halide::cast<float>(counted(window, 1, map[2], x, count_padding) *
                                      counted(window, 0, map[1], y, count_padding));
}

// a + b; an undefined `a` stands for an empty sum.
Expr strict_sum(const Expr& a, const Expr& b) {
    return a.defined() ? Expr(Strict(a) + Strict(b)) : b;
}

}  // namespace

// Sums rows of the window first, then the rows.
std::vector<Func> AveragePool::lower(const LowerContext& context,
                                     const std::vector<Func>& inputs) const {
    const std::vector<int64_t>& map = context.inputs[0].shape;
    const Window w = sliding();
    Var c("c"), x("x"), y("y"), n("n"), ky("ky");
    const auto cell = [&](const Expr& tap_x, const Expr& tap_y) {
        const Position px = tap_position(w, 1, map[2], x, tap_x),
                       py = tap_position(w, 0, map[1], y, tap_y);
        return value_or_zero(px.inside && py.inside, inputs[0](c, px.at, py.at, n));
    };
    Func out(context.name);  // (c, x, y, n)
    const Expr scale = share(w, map, x, y, count_padding);
    if (w.taps() <= kMostTerms) {
        Expr sum;
        for (int j = 0; j < as_int(w.size[0]); j++) {
            Expr row;
            for (int i = 0; i < as_int(w.size[1]); i++) row = strict_sum(row, cell(i, j));
            sum = strict_sum(sum, row);
        }
        out(c, x, y, n) = Expr(Strict(sum) * Strict(scale));
        return {out};
    }
    RDom rx(0, as_int(w.size[1]), context.name + "__rx"),
        ry(0, as_int(w.size[0]), context.name + "__ry");
    Func row(context.name + "__row"), sum(context.name + "__sum");
    row(c, x, y, n, ky) = 0.0F;
    row(c, x, y, n, ky) = strict_sum(row(c, x, y, n, ky), cell(rx, ky));
    sum(c, x, y, n) = 0.0F;
    sum(c, x, y, n) = strict_sum(sum(c, x, y, n), row(c, x, y, n, ry));
    out(c, x, y, n) = Expr(Strict(Expr(sum(c, x, y, n))) * Strict(scale));
    return {out};
}

std::vector<Func> AveragePoolBackward::lower(const LowerContext& context,
                                             const std::vector<Func>& inputs) const {
    const std::vector<int64_t>& map = context.outputs[0].shape;
    const std::vector<int64_t>& dy = context.inputs[0].shape;
    const Window w = sliding();
    Var c("c"), x("x"), y("y"), n("n");
    const auto term = [&](const Expr& back_x, const Expr& back_y) {
        const Reader rx = reader_window(w, 1, input[1], dy[2], x, back_x);
        const Reader ry = reader_window(w, 0, input[0], dy[1], y, back_y);
        const Strict scale(share(w, map, rx.at, ry.at, count_padding));
        return value_or_zero(rx.inside && ry.inside,
                             Strict(Expr(inputs[0](c, rx.at, ry.at, n))) * scale);
    };
    Func dx(context.name);  // (c, x, y, n)
    if (most_readers(w, 0) * most_readers(w, 1) <= kMostTerms) {
        Expr sum;
        for (int j = 0; j < most_readers(w, 0); j++) {
            for (int i = 0; i < most_readers(w, 1); i++) sum = strict_sum(sum, term(i, j));
        }
        dx(c, x, y, n) = sum;
        return {dx};
    }
    RDom r(0, most_readers(w, 1), 0, most_readers(w, 0), context.name + "__r");
    dx(c, x, y, n) = 0.0F;
    dx(c, x, y, n) = strict_sum(dx(c, x, y, n), term(r.x, r.y));
    return {dx};
}

}  // namespace emulsion
