// The sums of a block's tile, as block_product.h nests them:
//
//     sum(m, p, rest…) = sum over (c, kx, ky) of
//                        filter(m, c, kx, ky, rest…) * map(c, p, kx, ky, rest…)
#pragma once

#include <Halide.h>

#include <vector>

#include "schedules/gpu/product/block_product.h"
#include "schedules/gpu/product/product_operands.h"

namespace emulsion {

class TileSum {
  public:
    // A reduction over so many channels, in whole pieces of the tile, and taps. `rest` are axes of
    // the grid beside those of the tile.
    TileSum(const Product& product, const BlockTile& tile, int channels, int taps_w, int taps_h,
            std::vector<Halide::Var> rest = {});

    // The terms, in the variables below and those of `rest`.
    void define(const Halide::Expr& filter, const Halide::Expr& map);
    Halide::Expr value() const;
    // The group's maps over (m, p, rest…), from these sums as the anchor's results.
    Halide::Func results(const KernelContext& context, const Operands& operands) const;
    // Of the whole nest: `result` is (m, p, rest…), defined by value().
    void schedule(Halide::Func result);

    Halide::Var m{"m"}, p{"p"}, c{"c"}, kx{"kx"}, ky{"ky"};
    Halide::RDom r;  // steps (c, kx, ky) of the sum, for define()

  private:
    std::vector<Halide::Var> with_rest(std::vector<Halide::Var> axes) const;
    const Product& product_;
    BlockTile tile_;
    std::vector<Halide::Var> rest_;
    Halide::Func filter_{"a"}, filter_rows_{"ar"}, map_{"b"}, map_rows_{"br"}, sum_{"acc"};
};

}  // namespace emulsion
