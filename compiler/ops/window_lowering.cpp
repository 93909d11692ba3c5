// Positions that a sliding window reads, clamped into the map.
#include "compiler/ops/window_lowering.h"

#include "compiler/ops/axes.h"
#include "compiler/ops/strict.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

namespace {

// x * factor, without a multiplication by one.
Expr times(const Expr& x, int64_t factor) { return factor == 1 ? x : x * as_int(factor); }

}  // namespace

Position tap_position(const Window& window, int axis, int64_t in, const Expr& out,
                      const Expr& tap) {
    const auto index = static_cast<size_t>(axis);
    Expr cell = times(out, window.stride[index]) + times(tap, window.dilation[index]);
    if (!window.leaves(axis, in)) return {cell, Halide::Internal::const_true()};
    cell = cell - as_int(window.before(axis));
    return {Halide::clamp(cell, 0, as_int(in - 1)), cell >= 0 && cell < as_int(in)};
}

Position reader_position(const Window& window, int axis, int64_t positions, const Expr& cell,
                         const Expr& tap) {
    const auto index = static_cast<size_t>(axis);
    const int stride = as_int(window.stride[index]);
    const Expr start = cell + as_int(window.before(axis)) - times(tap, window.dilation[index]);
    if (stride == 1) {
        return {Halide::clamp(start, 0, as_int(positions - 1)),
                start >= 0 && start < as_int(positions)};
    }
    const Expr out = start / stride;  // rounded down
    return {Halide::clamp(out, 0, as_int(positions - 1)),
            start % stride == 0 && out >= 0 && out < as_int(positions)};
}

Reader reader_window(const Window& window, int axis, int64_t in, int64_t positions,
                     const Expr& cell, const Expr& back) {
    const auto index = static_cast<size_t>(axis);
    const int stride = as_int(window.stride[index]), size = as_int(window.size[index]);
    const Expr shifted = cell + as_int(window.before(axis));
    if (stride == size && window.before(axis) == 0 && positions * size == in) {
        return {cell / stride, cell % stride, Halide::Internal::const_true()};
    }
    const Expr out = shifted / stride - back;
    const Expr tap = shifted - out * stride;
    return {Halide::clamp(out, 0, as_int(positions - 1)), tap,
            tap < size && out >= 0 && out < as_int(positions)};
}

int most_readers(const Window& window, int axis) {
    const auto index = static_cast<size_t>(axis);
    return as_int((window.size[index] + window.stride[index] - 1) / window.stride[index]);
}

int64_t most_readers(const Window& window) {
    int64_t count = 1;
    for (int axis = 0; axis < window.axes(); axis++) count *= most_readers(window, axis);
    return count;
}

void for_each_reader(const Window& window,
                     const std::function<void(const std::vector<Expr>& back)>& visit) {
    for (int64_t i = 0; i < most_readers(window); i++) {
        std::vector<Expr> back(window.size.size());
        int64_t rest = i;
        for (int axis = window.axes(); axis-- > 0;) {
            back[static_cast<size_t>(axis)] = as_int(rest % most_readers(window, axis));
            rest /= most_readers(window, axis);
        }
        visit(back);
    }
}

ReaderWindow::ReaderWindow(const Window& window, const std::vector<int64_t>& extents,
                           const std::vector<int64_t>& dy, const std::vector<Halide::Var>& vars,
                           const std::vector<Expr>& back)
    : at(vars.begin(), vars.end()) {
    int64_t below = 1;  // taps that share their place along an axis and those in front of it
    for (size_t axis = extents.size(); axis-- > 0;) {
        Expr& cell = at[coordinate_of(dy.size(), axis + 1)];
        const Reader reader = reader_window(window, static_cast<int>(axis), extents[axis],
                                            dy[axis + 1], cell, back[axis]);
        cell = reader.at;
        tap = tap.defined() ? times(reader.tap, below) + tap : reader.tap;
        inside = inside.defined() ? inside && reader.inside : reader.inside;
        below *= window.size[axis];
    }
}

Expr value_or_zero(const Expr& inside, const Expr& value) {
    const Expr condition = Halide::Internal::simplify(inside);
    return Halide::Internal::is_const_one(condition) ? value
                                                     : Halide::select(condition, value, 0.0F);
}

Func sum_of_terms(const std::string& name, const std::vector<Var>& at, int64_t count,
                  const std::function<Expr(const Expr&)>& term) {
    Func sum(name);
    if (count <= kMostTerms) {
        Expr all = term(0);
        for (int k = 1; k < as_int(count); k++) all = Strict(all) + Strict(term(k));
        sum(at) = all;
        return sum;
    }
    const RDom r(0, as_int(count), name + "__r");
    sum(at) = 0.0F;
    sum(at) = Strict(Expr(sum(at))) + Strict(term(r.x));
    return sum;
}

}  // namespace emulsion
