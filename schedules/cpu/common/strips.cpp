// The sums of one tile, and how they join those of the strip.
#include "schedules/cpu/common/strips.h"

#include <algorithm>

#include "compiler/ops/moments.h"
#include "compiler/ops/strict.h"
#include "schedules/cpu/common/tiling.h"

namespace emulsion {

using Halide::Expr;

namespace {

template <class T>
bool is(const Op& op) {
    return dynamic_cast<const T*>(&op) != nullptr;
}

// Sums over the positions of a tile that lie inside the map.
class TileSum {
  public:
    explicit TileSum(const StripTile& tile) : tile_(tile) {}

    Expr sum(const std::function<Expr(int x, int y)>& term) const {
        std::vector<Expr> terms;
        for (int y = 0; y < std::min(kStripRows, tile_.map_height); y++) {
            for (int x = 0; x < std::min(tile_.width, tile_.map_width); x++)
                terms.push_back(masked(x, y, term(x, y)));
        }
        return tree_sum(terms);
    }

  private:
    Expr masked(int x, int y, const Expr& term) const {
        Expr inside = Halide::Internal::const_true();
        if (may_leave(x, tile_.width, tile_.map_width)) {
            inside = inside && tile_.column * tile_.width + x < tile_.map_width;
        }
        if (may_leave(y, kStripRows, tile_.map_height)) {
            inside = inside && tile_.strip * kStripRows + y < tile_.map_height;
        }
        return Halide::Internal::is_const_one(inside) ? term : Halide::select(inside, term, 0.0F);
    }
    // Whether position i of some tile lies outside the map.
    static bool may_leave(int i, int tile, int extent) {
        return extent > tile && extent % tile != 0 && i >= extent % tile;
    }

    const StripTile& tile_;
};

}  // namespace

bool continues_from_first(const Op& node) { return is<PartialMoments>(node); }

std::vector<Expr> add_tile(const Op& node, const StripTile& tile, const std::vector<Expr>& old,
                           const TileOperand& operand) {
    const TileSum sums(tile);
    const Expr first = tile.column == 0;
    // `start` for the strip's first tile, `later` for the others.
    const auto choose = [&](const Expr& start, const Expr& later) {
        return tile.columns == 1 ? start : Halide::select(first, start, later);
    };
    const auto add = [&](const Expr& sum, const Expr& term) {
        return choose(term, Strict(sum) + Strict(term));
    };
    if (is<PartialDots>(node)) {
        const Expr sum = sums.sum([&](int x, int y) { return operand(0, x, y); });
        const Expr dot = sums.sum([&](int x, int y) {
            return Expr(Strict(operand(0, x, y)) *
                        (Strict(operand(1, x, y)) - Strict(operand(2, x, y))));
        });
        return {add(old[0], sum), add(old[1], dot)};
    }
    EMU_CHECK(is<PartialMoments>(node), "no sum over strips is called {}", node.kind());
    // Whether the pivot of a first tile is stored before or after the other sums does not matter.
    const Strict pivot(choose(operand(0, 0, 0), old[0]));
    const Expr sum = sums.sum([&](int x, int y) { return Expr(Strict(operand(0, x, y)) - pivot); });
    const Expr squares = sums.sum([&](int x, int y) {
        const Strict d = Strict(operand(0, x, y)) - pivot;
        return Expr(d * d);
    });
    return {pivot, add(old[1], sum), add(old[2], squares)};
}

}  // namespace emulsion
