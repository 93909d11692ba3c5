// A product for each group, in one kernel.
#include "schedules/gpu/product/gpu_grouped_product.h"

#include "compiler/graph/limits.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/common/group_work.h"
#include "schedules/gpu/common/elements.h"
#include "schedules/gpu/product/block_product.h"
#include "schedules/gpu/product/product_operands.h"
#include "schedules/gpu/product/tile_sum.h"

namespace emulsion {

using Halide::Func;
using Halide::Var;

namespace {

constexpr int kFewestChannels = 4;  // of a block: those of a thread

}  // namespace

bool GpuGroupedProduct::applies(const Group& group, const Isa& isa) const {
    return is_grouped_product(group) && has_shape_of_anchor(group, /*batched=*/true) &&
           group.epilogue_window() == std::vector<int64_t>{1, 1} &&
           product_of(group).groups <= kMostCopies && !tilings(group, isa).empty();
}

TilingSpace GpuGroupedProduct::space(const Group& group, const Isa&) const {
    return block_space(product_of(group).channels, kFewestChannels);
}

std::string GpuGroupedProduct::clash(const Group& group, const Tiling& tiling,
                                     const Isa& isa) const {
    const BlockTile tile = block_tile(tiling);
    const std::string reason = block_clash(tile, isa);
    return reason.empty() ? staging_clash(product_of(group), tile) : reason;
}

std::vector<Tiling> GpuGroupedProduct::tilings(const Group& group, const Isa& isa) const {
    const Product product = product_of(group);
    const int piece = looping_piece(product.channels, product.taps_w * product.taps_h);
    return block_tilings(
        product.m, product.positions(group.batch), product.groups, piece, isa,
        [&](const BlockTile& tile) { return staging_clash(product, tile).empty(); },
        kFewestChannels);
}

double GpuGroupedProduct::cost(const Group& group, const Tiling& tiling, const Isa&,
                               const Machine&) const {
    const Product product = product_of(group);
    const double efficiency = block_efficiency(block_tile(tiling), product.m,
                                               product.positions(group.batch), product.groups);
    return device_seconds(1, traffic_bytes(group), product.multiply_adds(group.batch), efficiency);
}

std::vector<Func> GpuGroupedProduct::build(KernelContext& context, const Tiling& tiling) const {
    const Product product = product_of(context.group());
    const BlockTile tile = block_tile(tiling);
    const Var g("g");
    const Operands operands(context, product, g);
    TileSum sum(product, tile, to_int(round_up(product.channels, tile.bk)), product.taps_w,
                product.taps_h, {g});
    sum.define(operands.filter(sum.m, sum.c, sum.kx, sum.ky),
               operands.map(sum.p, sum.c, sum.kx, sum.ky, product.has_tail(tile)));
    Func out = sum.results(context, operands);
    out.bound(g, 0, product.groups);
    sum.schedule(out);
    return {out};
}

}  // namespace emulsion
