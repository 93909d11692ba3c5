// Positions that a sliding window reads, as Halide expressions that never leave the map.
#pragma once

#include <Halide.h>

#include <functional>
#include <string>
#include <vector>

#include "compiler/graph/limits.h"
#include "compiler/ops/window.h"

namespace emulsion {

// A position along one axis: `at` is always inside the map, `inside` is false where clamping moved
// it.
struct Position {
    Halide::Expr at;
    Halide::Expr inside;
};

// Cell that tap `tap` of window position `out` reads along an axis of `in` cells.
Position tap_position(const Window& window, int axis, int64_t in, const Halide::Expr& out,
                      const Halide::Expr& tap);

// Window position whose tap `tap` reads cell `cell`, of `positions` along the axis; not inside
// where there is none.
Position reader_position(const Window& window, int axis, int64_t positions,
                         const Halide::Expr& cell, const Halide::Expr& tap);

// The window counted `back` from the last one that begins at or before cell `cell`, of `positions`
// along an axis of `in` cells: where it is, and which of its taps reads the cell. Not inside where
// it does not reach the cell.
struct Reader {
    Halide::Expr at;
    Halide::Expr tap;
    Halide::Expr inside;
};
Reader reader_window(const Window& window, int axis, int64_t in, int64_t positions,
                     const Halide::Expr& cell, const Halide::Expr& back);

// The most windows that hold one cell of an axis, and of a map.
int most_readers(const Window& window, int axis);
int64_t most_readers(const Window& window);

// The windows that hold a cell, counted back from the last one along each axis of the map, by axis:
// the last axis fastest.
void for_each_reader(const Window& window,
                     const std::function<void(const std::vector<Halide::Expr>& back)>& visit);

// One of them: its position among the windows `dy` (C, then how many there are along each axis), as
// (c, x, y, …, n), and the number of its tap that reads the cell `vars` (c, x, y, …, n) of a map of
// these extents.
struct ReaderWindow {
    ReaderWindow(const Window& window, const std::vector<int64_t>& extents,
                 const std::vector<int64_t>& dy, const std::vector<Halide::Var>& vars,
                 const std::vector<Halide::Expr>& back);
    std::vector<Halide::Expr> at;
    Halide::Expr tap, inside;
};

// `value` where `inside`, else zero; no select where that is always so.
Halide::Expr value_or_zero(const Halide::Expr& inside, const Halide::Expr& value);

// A sum of so many terms may be written out; of more it is a loop.
inline constexpr int64_t kMostTerms = 32;

// NAME, at coordinates `at` the sum of term(0) … term(count - 1) in that order, rounded after each:
// written out, or an update over NAME__r where there are more than kMostTerms.
Halide::Func sum_of_terms(const std::string& name, const std::vector<Halide::Var>& at,
                          int64_t count,
                          const std::function<Halide::Expr(const Halide::Expr&)>& term);

inline int as_int(int64_t value) { return to_int(value); }

}  // namespace emulsion
