// Sums over strips of rows (ops/moments.h) inside the kernel that makes their map, for recipes that
// walk the map in tiles of kStripRows rows.
#pragma once

#include <Halide.h>

#include <functional>
#include <vector>

#include "compiler/recipe/kernel_context.h"

namespace emulsion {

// A tile of a map: a strip high and `width` wide.
struct StripTile {
    int width = 4;
    int columns = 1;  // tiles of a strip
    int map_width, map_height;
    Halide::Expr column, strip, sample;  // of the tile at work
};

// The new values of the sums of `node`, a strip sum of the group, after the tile: from `old`, those
// of the strip's tiles on its left. `operand(i, x, y)` is the node's operand i at position (x, y)
// of the tile; where that lies outside the map it may be anything.
//
// The order is fixed: a balanced tree over a tile, tiles from left to right.
//
// What is not stored is 0 in `old`; where `continues_from_first` holds, output 0 must be stored.
bool continues_from_first(const Op& node);
using TileOperand = std::function<Halide::Expr(int i, int x, int y)>;
std::vector<Halide::Expr> add_tile(const Op& node, const StripTile& tile,
                                   const std::vector<Halide::Expr>& old,
                                   const TileOperand& operand);

}  // namespace emulsion
