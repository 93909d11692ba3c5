// The mean of each window, and its gradient.
#include "compiler/ops/average_pool.h"

#include <fmt/format.h>

#include "compiler/ops/axes.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/positions.h"
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
    expect_any_map(inputs[0], "input");
    return {result_type(inputs[0])};
}

std::vector<TensorType> AveragePoolBackward::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    return {input_type(inputs[0], input)};
}

bool AveragePool::tiles(const TensorType& type) const { return tiles_map(type); }

OpClass AveragePoolBackward::op_class() const {
    return covers_once(input) ? OpClass::gather : OpClass::window;
}

// Gradient

std::vector<Value> AveragePool::gradient(GradientContext& context) const {
    auto op = std::make_shared<AveragePoolBackward>();
    static_cast<PoolAttributes&>(*op) = *this;
    op->count_padding = count_padding;
    const std::vector<int64_t>& x = context.type(context.inputs[0]).shape;
    op->input.assign(x.begin() + 1, x.end());
    return {context.add("dx", op, {context.gradients[0]})};
}

// Lowering

namespace {

// Cells of window position `out` along an axis that count.
Expr counted(const Window& window, int axis, int64_t in, const Expr& out, bool count_padding) {
    const auto index = static_cast<size_t>(axis);
    if (!window.leaves(axis, in)) return as_int(window.size[index]);
    const Expr begin = out * as_int(window.stride[index]) - as_int(window.before(axis));
    const int64_t far = count_padding ? in + window.after(axis) : in;
    const Expr end = Halide::min(begin + as_int(window.size[index]), as_int(far));
    return count_padding ? end - begin : end - Halide::max(begin, 0);
}

// 1 / number of cells that count of the window at `position` (c, x, y, …, n).
Expr share(const Window& window, const std::vector<int64_t>& map, const std::vector<Expr>& position,
           bool count_padding) {
    Expr cells;
    for (size_t axis = window.size.size(); axis-- > 0;) {
        const Expr count = counted(window, static_cast<int>(axis), map[axis + 1],
                                   position[coordinate_of(map.size(), axis + 1)], count_padding);
        cells = cells.defined() ? cells * count : count;
    }
    return 1.0F / Halide::cast<float>(cells);
}

// a + b; an undefined `a` stands for an empty sum.
Expr strict_sum(const Expr& a, const Expr& b) {
    return a.defined() ? Expr(Strict(a) + Strict(b)) : b;
}

// The cells of one window, as its taps read them.
struct WindowCells {
    const Window& window;
    const std::vector<int64_t>& map;
    const std::vector<Var>& position;  // c, x, y, …, n
    const Func& in;

    // What the taps, by axis, read: zero outside the map.
    Expr cell(const std::vector<Expr>& taps) const {
        std::vector<Expr> at = as_exprs(position);
        Expr inside;
        for (size_t axis = taps.size(); axis-- > 0;) {
            Expr& coordinate = at[coordinate_of(map.size(), axis + 1)];
            const Position p =
                tap_position(window, static_cast<int>(axis), map[axis + 1], coordinate, taps[axis]);
            coordinate = p.at;
            inside = inside.defined() ? inside && p.inside : p.inside;
        }
        return value_or_zero(inside, in(at));
    }

    // The sum over the taps of the axes behind `taps`, rows first.
    Expr sum(std::vector<Expr>& taps) const {
        if (taps.size() == window.size.size()) return cell(taps);
        Expr sum;
        for (int k = 0; k < as_int(window.size[taps.size()]); k++) {
            taps.emplace_back(k);
            sum = strict_sum(sum, this->sum(taps));
            taps.pop_back();
        }
        return sum;
    }

    // The same of all axes, each a loop of its own: rows, planes, the whole.
    Func sum_in_loops(const std::string& name) const {
        const size_t axes = window.size.size();
        const auto letter = [&](size_t axis) { return "xyz"[axes - 1 - axis]; };
        Func inner;
        for (size_t axis = axes; axis-- > 0;) {
            std::vector<Var> args = position;
            std::vector<Expr> taps;
            for (size_t outer = 0; outer < axis; outer++) {
                args.emplace_back(fmt::format("k{}", letter(outer)));
                taps.emplace_back(args.back());
            }
            const RDom r(0, as_int(window.size[axis]), fmt::format("{}__r{}", name, letter(axis)));
            taps.emplace_back(r.x);
            std::vector<Expr> read = as_exprs(position);
            read.insert(read.end(), taps.begin(), taps.end());
            const Expr term = inner.defined() ? Expr(inner(read)) : cell(taps);
            const char* part = axis == 0 ? "sum" : axis + 1 == axes ? "row" : "plane";
            Func sum(fmt::format("{}__{}", name, part));
            sum(args) = 0.0F;
            sum(args) = strict_sum(sum(args), term);
            inner = sum;
        }
        return inner;
    }
};

}  // namespace

std::vector<Func> AveragePool::lower(const LowerContext& context,
                                     const std::vector<Func>& inputs) const {
    const std::vector<int64_t>& map = context.inputs[0].shape;
    const Window w = sliding();
    const std::vector<Var> vars = coordinates(context.outputs[0]);  // c, x, y, …, n
    const std::vector<Expr> at = as_exprs(vars);
    const WindowCells cells{w, map, vars, inputs[0]};
    std::vector<Expr> taps;
    const Expr sum =
        w.taps() <= kMostTerms ? cells.sum(taps) : Expr(cells.sum_in_loops(context.name)(at));
    Func out(context.name);
    out(vars) = Expr(Strict(sum) * Strict(share(w, map, at, count_padding)));
    return {out};
}

std::vector<Func> AveragePoolBackward::lower(const LowerContext& context,
                                             const std::vector<Func>& inputs) const {
    const std::vector<int64_t>& map = context.outputs[0].shape;
    const std::vector<int64_t>& dy = context.inputs[0].shape;
    const Window w = sliding();
    const std::vector<Var> vars = coordinates(context.outputs[0]);  // c, x, y, …, n
    const auto term = [&](const std::vector<Expr>& back) {
        const ReaderWindow reader(w, input, dy, vars, back);
        const Strict scale(share(w, map, reader.at, count_padding));
        return value_or_zero(reader.inside, Strict(Expr(inputs[0](reader.at))) * scale);
    };
    Func dx(context.name);
    if (most_readers(w) <= kMostTerms) {
        Expr sum;
        for_each_reader(w, [&](const std::vector<Expr>& b) { sum = strict_sum(sum, term(b)); });
        dx(vars) = sum;
        return {dx};
    }
    Halide::Region region;
    for (int axis = w.axes(); axis-- > 0;) region.emplace_back(0, most_readers(w, axis));
    const RDom r(region, context.name + "__r");
    std::vector<Expr> back;  // by axis
    for (int axis = 0; axis < w.axes(); axis++) back.emplace_back(r[w.axes() - 1 - axis]);
    dx(vars) = 0.0F;
    dx(vars) = strict_sum(dx(vars), term(back));
    return {dx};
}

}  // namespace emulsion
