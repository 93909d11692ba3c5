// Positions that a sliding window reads, as Halide expressions that never leave the map.
#pragma once

#include <Halide.h>

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

// The most windows that hold one cell of an axis.
int most_readers(const Window& window, int axis);

// `value` where `inside`, else zero; no select where that is always so.
Halide::Expr value_or_zero(const Halide::Expr& inside, const Halide::Expr& value);

inline int as_int(int64_t value) { return to_int(value); }

}  // namespace emulsion
