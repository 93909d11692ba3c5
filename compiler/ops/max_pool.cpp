// The largest cell of each window, and the gradient that flows back to it.
#include "compiler/ops/max_pool.h"

#include <fmt/format.h>

#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/strict.h"
#include "compiler/ops/window_lowering.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::Var;

void MaxPoolBackward::fields(Fields& f) {
    visit(f);
    f.field("input", input);
}

// Shape

namespace {

constexpr int64_t kMostTaps = 256;  // numbers of one byte

void expect_index(const TensorType& index, const TensorType& value, std::string_view what) {
    TensorType expected = value;
    expected.element = ElementType::u8;
    if (index == expected) return;
    fail("shape",
         fmt::format("the index is {}, but the {} {} needs {}", to_string(index), what,
                     to_string(value), to_string(expected)),
         "give it the second result of the max_pool it belongs to");
}

}  // namespace

std::vector<TensorType> MaxPool::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_map(inputs[0], "input");
    const TensorType value = result_type(inputs[0]);
    if (sliding().taps() > kMostTaps) {
        fail(
            "window",
            fmt::format(
                "the window {} has {} cells, but the winner's number is kept in one byte, up to {}",
                by(window[0], window[1]), sliding().taps(), kMostTaps),
            "use two poolings in a row, or a window of at most 16x16");
    }
    TensorType index = value;
    index.element = ElementType::u8;
    return {value, index};
}

std::vector<TensorType> MaxPoolBackward::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 2);
    const TensorType dx = input_type(inputs[0], input);
    expect_index(inputs[1], inputs[0], "gradient");
    return {dx};
}

std::vector<TensorType> MaxPoolWinners::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 2);
    expect_map(inputs[0], "input");
    const TensorType type = result_type(inputs[0]);
    expect_index(inputs[1], type, "result");
    return {type};
}

bool MaxPool::tiles(const TensorType& type) const {
    return sliding().tiles(type.shape[1], type.shape[2]);
}

OpClass MaxPoolBackward::op_class() const {
    return covers_once(input) ? OpClass::gather : OpClass::window;
}

// Gradient

std::vector<Value> MaxPool::gradient(GradientContext& context) const {
    auto op = std::make_shared<MaxPoolBackward>();
    static_cast<PoolAttributes&>(*op) = *this;
    const std::vector<int64_t>& x = context.type(context.inputs[0]).shape;
    op->input = {x[1], x[2]};
    return {context.add("dx", op, {context.gradients[0], context.outputs[1]})};
}

std::vector<Value> MaxPoolBackward::gradient(GradientContext& context) const {
    auto op = std::make_shared<MaxPoolWinners>();
    static_cast<PoolAttributes&>(*op) = *this;
    return {context.add("dx", op, {context.gradients[0], context.inputs[1]}), Value()};
}

std::vector<Value> MaxPoolWinners::gradient(GradientContext& context) const {
    auto op = std::make_shared<MaxPoolBackward>();
    static_cast<PoolAttributes&>(*op) = *this;
    const std::vector<int64_t>& x = context.type(context.inputs[0]).shape;
    op->input = {x[1], x[2]};
    return {context.add("dx", op, {context.gradients[0], context.inputs[1]}), Value()};
}

// Lowering

namespace {

// A running maximum, the number of its tap, and the sum of all taps, which is no number where one
// of them is none.
struct Winner {
    Expr value;
    Expr number;
    Expr sum;
    // The earlier of two equal values stays.
    void meet(const Winner& other) {
        if (!value.defined()) {
            *this = other;
            return;
        }
        const Expr loses = Strict(value) < Strict(other.value);
        number = Halide::select(loses, other.number, number);
        value = Halide::select(loses, other.value, value);
        sum = Strict(sum) + Strict(other.sum);
    }
};

// Tap `tap` along an axis as the cell it reads and its number, both moved into the map.
struct PoolTap {
    Expr at;
    Expr number;
};

PoolTap pool_tap(const Window& window, int axis, int64_t in, const Expr& out, int64_t tap) {
    const Position position = tap_position(window, axis, in, out, as_int(tap));
    if (!window.leaves(axis, in)) return {position.at, as_int(tap)};
    const Expr first =
        out * as_int(window.stride[static_cast<size_t>(axis)]) - as_int(window.before(axis));
    return {position.at, position.at - first};
}

}  // namespace

// A tap outside the map reads the nearest cell inside and bears that cell's number, so it changes
// nothing: the cells of a window still come in ascending order. Rows are decided one by one, which
// keeps the expressions short.
std::vector<Func> MaxPool::lower(const LowerContext& context,
                                 const std::vector<Func>& inputs) const {
    const std::vector<int64_t>& shape = context.inputs[0].shape;
    const Window w = sliding();
    Var c("c"), x("x"), y("y"), n("n");
    Winner best;
    for (int64_t ky = 0; ky < w.size[0]; ky++) {
        const PoolTap row = pool_tap(w, 0, shape[1], y, ky);
        Winner best_of_row;
        for (int64_t kx = 0; kx < w.size[1]; kx++) {
            const PoolTap cell = pool_tap(w, 1, shape[2], x, kx);
            const Expr tap = inputs[0](c, cell.at, row.at, n);
            best_of_row.meet({tap, cell.number, tap});
        }
        best_of_row.number += row.number * as_int(w.size[1]);
        best.meet(best_of_row);
    }
    Func value(context.name + "__value"), index(context.name + "__index");  // (c, x, y, n)
    // A NaN (or infinities of both signs) in the window goes on to the test of the loss.
    value(c, x, y, n) = choose(is_number(Strict(best.sum)), best.value, best.sum);
    index(c, x, y, n) = Halide::cast<uint8_t>(best.number);
    return {value, index};
}

// The sum runs over the windows that hold a cell from the last one to the first.
std::vector<Func> MaxPoolBackward::lower(const LowerContext& context,
                                         const std::vector<Func>& inputs) const {
    const std::vector<int64_t>& dy = context.inputs[0].shape;
    const Window w = sliding();
    Var c("c"), x("x"), y("y"), n("n");
    Expr sum;
    for (int back_y = 0; back_y < most_readers(w, 0); back_y++) {
        for (int back_x = 0; back_x < most_readers(w, 1); back_x++) {
            const Reader rx = reader_window(w, 1, input[1], dy[2], x, back_x);
            const Reader ry = reader_window(w, 0, input[0], dy[1], y, back_y);
            const Expr winner = Halide::cast<int32_t>(inputs[1](c, rx.at, ry.at, n));
            const Expr wins = winner == ry.tap * as_int(w.size[1]) + rx.tap;
            const Expr term =
                value_or_zero(rx.inside && ry.inside && wins, inputs[0](c, rx.at, ry.at, n));
            sum = sum.defined() ? Expr(Strict(sum) + Strict(term)) : term;
        }
    }
    Func dx(context.name);  // (c, x, y, n)
    dx(c, x, y, n) = sum;
    return {dx};
}

std::vector<Func> MaxPoolWinners::lower(const LowerContext& context,
                                        const std::vector<Func>& inputs) const {
    const std::vector<int64_t>& map = context.inputs[0].shape;
    const Window w = sliding();
    Var c("c"), x("x"), y("y"), n("n");
    const Expr winner = Halide::cast<int32_t>(inputs[1](c, x, y, n));
    const auto cell = [&](const Expr& out, size_t axis, const Expr& tap) {
        const Expr first = out * as_int(stride[axis]) - as_int(w.before(static_cast<int>(axis)));
        return Halide::clamp(first + tap, 0, as_int(map[axis + 1] - 1));
    };
    const int columns = as_int(w.size[1]);
    Func out(context.name);  // (c, x, y, n)
    out(c, x, y, n) = inputs[0](c, cell(x, 1, winner % columns), cell(y, 0, winner / columns), n);
    return {out};
}

}  // namespace emulsion
