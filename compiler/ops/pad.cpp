// Cells around a map, and the gradient that flows back to what they copy.
#include "compiler/ops/pad.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/graph/limits.h"
#include "compiler/ops/axes.h"
#include "compiler/ops/crop.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/strict.h"
#include "compiler/ops/window_lowering.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

// Shape

namespace {

constexpr int64_t kMostPadding = 1 << 20;  // on one side

void expect_border(const std::string& border, bool may_be_constant) {
    if (border == "reflect" || border == "symmetric" || border == "replicate") return;
    if (border == "constant" && may_be_constant) return;
    fail("attribute", fmt::format("there is no border '{}' here", border),
         fmt::format("use {}reflect, symmetric or replicate", may_be_constant ? "constant, " : ""));
}

// Of an axis of `in` cells: a mirror shows each of them once at most.
void expect_mirrored(const std::string& border, const std::string& name, int64_t in, int64_t before,
                     int64_t after) {
    if (border != "reflect" && border != "symmetric") return;
    const int64_t most = border == "reflect" ? in - 1 : in, widest = std::max(before, after);
    if (widest <= most) return;
    fail("padding",
         fmt::format("the border '{}' is {} cells wide along the {}, but the input has {}: {} of "
                     "them can be mirrored",
                     border, widest, name, in, most),
         fmt::format("pad at most {} per side, or use the border replicate", most));
}

}  // namespace

std::vector<TensorType> Pad::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_channels(inputs[0], "input");
    expect_numbers("before", before, inputs[0], 0, kMostPadding);
    expect_numbers("after", after, inputs[0], 0, kMostPadding);
    expect_border(border, /*may_be_constant=*/true);
    expect_number(value, "value");
    TensorType type = inputs[0];
    for (size_t axis = 0; axis < type.shape.size(); axis++) {
        expect_mirrored(border, axis_name(inputs[0], axis), type.shape[axis], before[axis],
                        after[axis]);
        type.shape[axis] += before[axis] + after[axis];
    }
    return {type};
}

std::vector<TensorType> PadBackward::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_channels(inputs[0], "gradient");
    expect_axis(axis, inputs[0]);
    expect_border(border, /*may_be_constant=*/false);
    TensorType type = inputs[0];
    int64_t& extent = type.shape[static_cast<size_t>(axis)];
    if (before < 0 || after < 0 || before + after >= extent) {
        fail("attribute",
             fmt::format("before is {} and after is {}, but both must be 0 or more and leave some "
                         "of the {} cells",
                         before, after, extent),
             "give what the padding before it has");
    }
    extent -= before + after;
    expect_mirrored(border, axis_name(inputs[0], static_cast<size_t>(axis)), extent, before, after);
    return {type};
}

// Gradient

std::vector<Value> Pad::gradient(GradientContext& context) const {
    const std::vector<int64_t>& x = context.type(context.inputs[0]).shape;
    if (border == "constant") {
        auto op = std::make_shared<Crop>();
        op->begin = before;
        op->count = x;
        op->step.assign(x.size(), 1);
        return {context.add("dx", op, {context.gradients[0]})};
    }
    Value dx = context.gradients[0];
    for (size_t axis = 0; axis < x.size(); axis++) {
        if (before[axis] == 0 && after[axis] == 0) continue;
        auto op = std::make_shared<PadBackward>();
        op->axis = static_cast<int64_t>(axis);
        op->before = before[axis];
        op->after = after[axis];
        op->border = border;
        dx = context.add("dx", op, {dx});
    }
    return {dx};
}

// Lowering

namespace {

// The cell of an axis that the one at `from` copies, where that lies outside 0 to `last` too.
Expr copied_cell(const std::string& border, const Expr& from, int last) {
    Expr cell = from;
    if (border == "reflect") {
        cell = Halide::max(from, -from);
        cell = Halide::min(cell, last - (cell - last));
    } else if (border == "symmetric") {
        cell = Halide::max(from, -1 - from);
        cell = Halide::min(cell, last - (cell - last - 1));
    }
    return Halide::clamp(cell, 0, last);
}

Expr strict_sum(const Expr& a, const Expr& b) { return Strict(a) + Strict(b); }

}  // namespace

OpClass PadBackward::op_class() const {
    const bool is_long = border == "replicate" && before + after > kMostTerms;
    return is_long ? OpClass::anchor : OpClass::gather;
}

std::vector<Func> Pad::lower(const LowerContext& context, const std::vector<Func>& inputs) const {
    const std::vector<int64_t>& shape = context.inputs[0].shape;
    const std::vector<Var> vars = coordinates(context.outputs[0]);
    std::vector<Expr> at = as_exprs(vars);
    Expr inside = Halide::Internal::const_true();
    for (size_t axis = 0; axis < shape.size(); axis++) {
        if (before[axis] == 0 && after[axis] == 0) continue;
        Expr& cell = at[coordinate_of(shape.size(), axis)];
        const Expr from = cell - to_int(before[axis]);
        const int last = to_int(shape[axis] - 1);
        inside = inside && from >= 0 && from <= last;
        cell = copied_cell(border, from, last);
    }
    Func out(context.name);
    const bool is_copied = border != "constant" || Halide::Internal::is_const_one(inside);
    out(vars) = is_copied ? Expr(inputs[0](at))
                          : Halide::select(inside, inputs[0](at), static_cast<float>(value));
    return {out};
}

// The copies of a cell, from the one inside outwards, first those in front of the map. Those of an
// outermost cell that is replicated far are summed in loops of their own, before they are added.
std::vector<Func> PadBackward::lower(const LowerContext& context,
                                     const std::vector<Func>& inputs) const {
    const TensorType& type = context.outputs[0];
    const std::vector<Var> vars = coordinates(type);
    const size_t place = coordinate_of(type.shape.size(), static_cast<size_t>(axis));
    const int in = to_int(type.shape[static_cast<size_t>(axis)]), last = in - 1;
    const int front = to_int(before), back = to_int(after);
    const Expr cell = vars[place];
    const auto read = [&](const Expr& position) {
        std::vector<Expr> at = as_exprs(vars);
        at[place] = Halide::clamp(position, 0, front + last + back);
        return Expr(inputs[0](at));
    };
    Expr sum = read(cell + front);
    const auto add = [&](const Expr& condition, const Expr& term) {
        sum = strict_sum(sum, Halide::select(condition, term, 0.0F));
    };
    if (border == "reflect") {
        if (front > 0) add(cell >= 1 && cell <= front, read(front - cell));
        if (back > 0) add(cell >= last - back && cell < last, read(front + last + (last - cell)));
    } else if (border == "symmetric") {
        if (front > 0) add(cell < front, read(front - 1 - cell));
        if (back > 0) add(cell > last - back, read(front + last + 1 + (last - cell)));
    } else if (op_class() == OpClass::gather) {
        for (int k = 1; k <= front; k++) add(cell == 0, read(front - k));
        for (int k = 1; k <= back; k++) add(cell == last, read(front + last + k));
    } else {
        std::vector<Var> others = vars;
        others.erase(others.begin() + static_cast<std::ptrdiff_t>(place));
        const auto sum_of = [&](const char* name, int begin, int count) {
            RDom r(begin, count, fmt::format("{}__{}_r", context.name, name));
            Func strip(fmt::format("{}__{}", context.name, name));
            strip(others) = 0.0F;
            strip(others) = strict_sum(strip(others), read(r.x));
            return Expr(strip(others));
        };
        if (front > 0) add(cell == 0, sum_of("front", 0, front));
        if (back > 0) add(cell == last, sum_of("back", front + in, back));
    }
    Func dx(context.name);
    dx(vars) = sum;
    return {dx};
}

}  // namespace emulsion
