// What the recipes of Winograd's method on devices share (compiler/ops/winograd.h): which tiles,
// and the kernels that transform them.
//
// Tiles of all samples are numbered t = tx + columns * (ty + rows * n), the points of a tile
// q = j + points * i.
#pragma once

#include <Halide.h>

#include <functional>
#include <string>
#include <vector>

#include "compiler/ops/conv2d.h"
#include "compiler/ops/window_lowering.h"
#include "compiler/recipe/kernel_context.h"

namespace emulsion {

// Tiles of maps of this size.
struct MapTiles {
    int tile, kernel, points;
    int columns, rows;  // of a sample
    int batch;

    // The tile with the fewest products, hence bytes too; of two with as many, as on maps of 5 and
    // 6, the one that rounds less. REQUIRES: has_winograd(2, kernel).
    MapTiles(int kernel, int height, int width, int batch);
    int64_t count() const { return int64_t{columns} * rows * batch; }
    int squared() const { return points * points; }

    // Cells of tile t, and its sample, which may be beyond the last.
    Halide::Expr x(const Halide::Expr& t) const { return t % columns * tile; }
    Halide::Expr y(const Halide::Expr& t) const { return t / columns % rows * tile; }
    Halide::Expr n(const Halide::Expr& t) const { return t / (columns * rows); }
};

// Whether a convolution, or a gradient of it, has a filter of a size and steps that tiles are for.
bool has_tiles(const ConvAttributes& conv, int64_t kernel_height, int64_t kernel_width);

// Whether what a kernel keeps between its launches is no larger than what devices let one buffer
// be: many of them end at 1 GiB.
bool can_be_held(const std::vector<Scratch>& scratch);

// A bound of what the method rounds away over the largest value of its results: by transforms, and
// by sums of so many terms one after another, which grows with the square root of their number, as
// random errors do.
double rounding_bound(const MapTiles& tiles, int64_t terms);

// A cell of a map that has so many along an axis.
Position cell_at(const Halide::Expr& at, int64_t cells);

// Deals the elements along `axes` to threads, each of which runs all of the loops `own`, written
// out. Returns the loop over threads.
Halide::Var deal_tiles(Halide::Func func, const std::vector<Halide::Var>& own,
                       const std::vector<Halide::Var>& axes);

// The transform of both axes of a square of values, `from` of a side to `points`, as a kernel of
// its own over (a, b, point). `value` is over (a, b, x, y).
using Transform = std::function<std::vector<Halide::Expr>(const std::vector<Halide::Expr>&)>;
Halide::Func transformed(const std::string& name, int points, const Halide::Func& value, int from,
                         const Transform& transform);

// B^T d B of the group's map with its prologue, over (channel, tile, point), as a kernel of its
// own. A tile's square begins `before_x` and `before_y` cells in front of the tile; outside the map
// is zero. Tiles beyond the last sample repeat it.
Halide::Func transformed_map(const MapTiles& tiles, int before_x, int before_y,
                             const KernelContext& context);

}  // namespace emulsion
