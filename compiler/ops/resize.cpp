// Maps at other extents, and the gradient that flows back along one axis.
//
// In units of 1 / (2 out) cells of the input, cell i's centre lies at (2 i + 1) in, and cell c
// covers 2 out c up to 2 out (c + 1).
#include "compiler/ops/resize.h"

#include <fmt/ranges.h>

#include <functional>

#include "compiler/graph/limits.h"
#include "compiler/ops/axes.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/strict.h"
#include "compiler/ops/window_lowering.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::Var;

// Shape

namespace {

void expect_mode(const std::string& mode) {
    if (mode == "nearest" || mode == "bilinear") return;
    fail("attribute", fmt::format("there is no mode '{}'", mode), "use nearest or bilinear");
}

// Positions are counted in numbers of 32 bits.
void expect_countable(int64_t in, int64_t out) {
    if (in >= 1 && out >= 1 && in <= kMostNumber / 8 / out) return;
    fail("size",
         fmt::format("an axis of {} cells cannot become one of {}: both must be 1 or more, and "
                     "their product at most {}",
                     in, out, kMostNumber / 8),
         "choose a smaller size");
}

}  // namespace

std::vector<TensorType> Resize::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_channels(inputs[0], "input");
    expect_mode(mode);
    TensorType type = inputs[0];
    if (size.empty() || size.size() + 1 != type.shape.size()) {
        fail("attribute",
             fmt::format("size is [{}], but must name the extents behind the channels of {}",
                         fmt::join(size, ","), to_string(type)),
             "give a map, and size=[height,width]");
    }
    for (size_t axis = 1; axis < type.shape.size(); axis++) {
        expect_countable(type.shape[axis], size[axis - 1]);
        type.shape[axis] = size[axis - 1];
    }
    return {type};
}

std::vector<TensorType> ResizeBackward::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_channels(inputs[0], "gradient");
    expect_axis(axis, inputs[0]);
    expect_mode(mode);
    expect_countable(input, output);
    TensorType type = inputs[0];
    int64_t& extent = type.shape[static_cast<size_t>(axis)];
    if (axis == 0 || extent != output) {
        fail("attribute",
             fmt::format("axis {} of {} is to become {} from {} cells", axis, to_string(type),
                         input, output),
             "name an axis behind the channels, and as its output the cells that it has");
    }
    extent = input;
    return {type};
}

// Gradient

std::vector<Value> Resize::gradient(GradientContext& context) const {
    const std::vector<int64_t>& x = context.type(context.inputs[0]).shape;
    Value dx = context.gradients[0];
    for (size_t axis = 1; axis < x.size(); axis++) {
        if (x[axis] == size[axis - 1]) continue;
        auto op = std::make_shared<ResizeBackward>();
        op->axis = static_cast<int64_t>(axis);
        op->input = x[axis];
        op->output = size[axis - 1];
        op->mode = mode;
        dx = context.add("dx", op, {dx});
    }
    return {dx};
}

// Lowering

namespace {

// The cell that holds the centre of cell `i`.
Expr nearest_cell(const Expr& i, int64_t in, int64_t out) {
    if (out % in == 0) return i / to_int(out / in);
    return (2 * i + 1) * to_int(in) / to_int(2 * out);
}

// The cells on both sides of a centre, moved into the axis, and the share of the second one.
struct Sides {
    Expr low, high;
    Expr share;
};

Sides sides_of(const Expr& i, int64_t in, int64_t out) {
    const int unit = to_int(2 * out), last = to_int(in - 1);
    const Expr position = (2 * i + 1) * to_int(in) - to_int(out);
    const Expr cell = position / unit;  // rounded down
    const Strict share = Strict(Halide::cast<float>(position % unit)) * Strict(1.0 / unit);
    return {Halide::clamp(cell, 0, last), Halide::clamp(cell + 1, 0, last), share};
}

// Cells of the output along an axis that a cell of the input can reach: those from first_reader on.
int64_t most_readers(const ResizeBackward& op) {
    const int64_t reach = op.mode == "nearest" ? op.output : 2 * op.output;
    return op.input < 1 ? 0 : (reach + op.input - 1) / op.input;
}

// The first cell of the output whose centre lies at `from` or behind it.
Expr first_centre(const Expr& from, int64_t in) {
    return (from + to_int(in - 1)) / to_int(2 * in);  // rounded down
}

}  // namespace

OpClass ResizeBackward::op_class() const {
    return most_readers(*this) > kMostTerms ? OpClass::anchor : OpClass::gather;
}

std::vector<Func> Resize::lower(const LowerContext& context,
                                const std::vector<Func>& inputs) const {
    const std::vector<int64_t>& shape = context.inputs[0].shape;
    const std::vector<Var> vars = coordinates(context.outputs[0]);
    // Mixes the axes from `axis` on, of which `at` says where the ones before are read.
    const std::function<Expr(size_t, std::vector<Expr>)> value = [&](size_t axis,
                                                                     std::vector<Expr> at) {
        if (axis == shape.size()) return Expr(inputs[0](at));
        const int64_t in = shape[axis], out = size[axis - 1];
        if (in == out) return value(axis + 1, at);
        Expr& cell = at[coordinate_of(shape.size(), axis)];
        if (mode == "nearest") {
            cell = nearest_cell(cell, in, out);
            return value(axis + 1, at);
        }
        const Sides sides = sides_of(cell, in, out);
        cell = sides.low;
        const Strict low(value(axis + 1, at));
        cell = sides.high;
        const Strict high(value(axis + 1, at));
        return Expr(low + (high - low) * Strict(sides.share));
    };
    Func out(context.name);
    out(vars) = value(1, as_exprs(vars));
    return {out};
}

std::vector<Func> ResizeBackward::lower(const LowerContext& context,
                                        const std::vector<Func>& inputs) const {
    const TensorType& type = context.outputs[0];
    const std::vector<Var> vars = coordinates(type);
    const size_t place = coordinate_of(type.shape.size(), static_cast<size_t>(axis));
    const Expr cell = vars[place];
    const auto read = [&](const Expr& position) {
        std::vector<Expr> at = as_exprs(vars);
        at[place] = Halide::clamp(position, 0, to_int(output - 1));
        return Strict(Expr(inputs[0](at)));
    };
    const int unit = to_int(2 * output);
    const auto term = [&](const Expr& k) {
        if (mode == "nearest") {
            if (output % input == 0) return Expr(read(cell * to_int(output / input) + k));
            const Expr begin = first_centre(unit * cell, input);
            const Expr end = first_centre(unit * (cell + 1), input);
            return value_or_zero(begin + k < end, read(begin + k));
        }
        const Expr i = first_centre(unit * (cell - 1) + to_int(output), input) + k;
        const Sides sides = sides_of(i, input, output);
        const Strict low = choose(sides.low == cell, Strict(1.0F) - Strict(sides.share), 0.0F);
        const Strict high = choose(sides.high == cell, Strict(sides.share), 0.0F);
        return value_or_zero(i >= 0 && i < to_int(output), read(i) * (low + high));
    };
    return {sum_of_terms(context.name, vars, most_readers(*this), term)};
}

}  // namespace emulsion
