// The largest cell of each window, and the gradient that flows back to it.
#include "compiler/ops/max_pool.h"

#include <fmt/format.h>

#include "compiler/ops/axes.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/positions.h"
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
    expect_any_map(inputs[0], "input");
    const TensorType value = result_type(inputs[0]);
    if (sliding().taps() > kMostTaps) {
        fail(
            "window",
            fmt::format(
                "the window {} has {} cells, but the winner's number is kept in one byte, up to {}",
                by(window), sliding().taps(), kMostTaps),
            fmt::format("use two poolings in a row, or a window of at most {}",
                        window.size() == 1   ? "256"
                        : window.size() == 2 ? "16x16"
                                             : "6x6x6"));
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
    expect_any_map(inputs[0], "input");
    const TensorType type = result_type(inputs[0]);
    expect_index(inputs[1], type, "result");
    return {type};
}

bool MaxPool::tiles(const TensorType& type) const { return tiles_map(type); }

OpClass MaxPoolBackward::op_class() const {
    return covers_once(input) ? OpClass::gather : OpClass::window;
}

// Gradient

std::vector<Value> MaxPool::gradient(GradientContext& context) const {
    auto op = std::make_shared<MaxPoolBackward>();
    static_cast<PoolAttributes&>(*op) = *this;
    const std::vector<int64_t>& x = context.type(context.inputs[0]).shape;
    op->input.assign(x.begin() + 1, x.end());
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
    op->input.assign(x.begin() + 1, x.end());
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

// One position of a window over `in`.
struct WindowReader {
    const Window& window;
    const std::vector<int64_t>& map;   // C, then the extents
    const std::vector<Var>& position;  // c, x, y, …, n
    const Func& in;

    // Of the taps along `axis` and those behind it, where `at` has the cells of the axes in front.
    // Each row is decided by itself, which keeps the expressions short.
    Winner winner(int axis, std::vector<Expr>& at) const {
        const size_t coordinate = coordinate_of(map.size(), static_cast<size_t>(axis) + 1);
        Winner best;
        for (int64_t k = 0; k < window.size[static_cast<size_t>(axis)]; k++) {
            const PoolTap tap =
                pool_tap(window, axis, map[static_cast<size_t>(axis) + 1], position[coordinate], k);
            at[coordinate] = tap.at;
            if (axis + 1 == window.axes()) {
                const Expr value = in(at);
                best.meet({value, tap.number, value});
                continue;
            }
            Winner row = winner(axis + 1, at);
            row.number += tap.number * as_int(numbers_behind(window, axis));
            best.meet(row);
        }
        return best;
    }

    // Taps that share their place along an axis and those in front of it.
    static int64_t numbers_behind(const Window& window, int axis) {
        int64_t count = 1;
        for (int i = axis + 1; i < window.axes(); i++) count *= window.size[static_cast<size_t>(i)];
        return count;
    }
};

}  // namespace

// A tap outside the map reads the nearest cell inside and bears that cell's number, so it changes
// nothing: the cells of a window still come in ascending order.
std::vector<Func> MaxPool::lower(const LowerContext& context,
                                 const std::vector<Func>& inputs) const {
    const Window w = sliding();
    const std::vector<Var> vars = coordinates(context.outputs[0]);  // c, x, y, …, n
    std::vector<Expr> at = as_exprs(vars);
    const Winner best = WindowReader{w, context.inputs[0].shape, vars, inputs[0]}.winner(0, at);
    Func value(context.name + "__value"), index(context.name + "__index");
    // A NaN (or infinities of both signs) in the window goes on to the test of the loss.
    value(vars) = choose(is_number(Strict(best.sum)), best.value, best.sum);
    index(vars) = Halide::cast<uint8_t>(best.number);
    return {value, index};
}

// The sum runs over the windows that hold a cell from the last one to the first.
std::vector<Func> MaxPoolBackward::lower(const LowerContext& context,
                                         const std::vector<Func>& inputs) const {
    const Window w = sliding();
    const std::vector<Var> vars = coordinates(context.outputs[0]);
    Expr sum;
    for_each_reader(w, [&](const std::vector<Expr>& back) {
        const ReaderWindow reader(w, input, context.inputs[0].shape, vars, back);
        const Expr winner = Halide::cast<int32_t>(inputs[1](reader.at));
        const Expr term =
            value_or_zero(reader.inside && winner == reader.tap, inputs[0](reader.at));
        sum = sum.defined() ? Expr(Strict(sum) + Strict(term)) : term;
    });
    Func dx(context.name);
    dx(vars) = sum;
    return {dx};
}

std::vector<Func> MaxPoolWinners::lower(const LowerContext& context,
                                        const std::vector<Func>& inputs) const {
    const std::vector<int64_t>& map = context.inputs[0].shape;
    const Window w = sliding();
    const std::vector<Var> vars = coordinates(context.outputs[0]);
    std::vector<Expr> at = as_exprs(vars);
    Expr number = Halide::cast<int32_t>(inputs[1](at));
    for (size_t axis = w.size.size(); axis-- > 0;) {
        Expr& cell = at[coordinate_of(map.size(), axis + 1)];
        const Expr first = cell * as_int(stride[axis]) - as_int(w.before(static_cast<int>(axis)));
        const Expr tap = axis == 0 ? number : number % as_int(w.size[axis]);
        cell = Halide::clamp(first + tap, 0, as_int(map[axis + 1] - 1));
        if (axis > 0) number = number / as_int(w.size[axis]);
    }
    Func out(context.name);
    out(vars) = inputs[0](at);
    return {out};
}

}  // namespace emulsion
