// A product in one kernel.
#include "schedules/gpu/product/gpu_product.h"

#include <algorithm>

#include "compiler/graph/limits.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/common/group_work.h"
#include "schedules/gpu/common/elements.h"
#include "schedules/gpu/product/block_product.h"
#include "schedules/gpu/product/product_operands.h"
#include "schedules/gpu/product/stored_prologue.h"
#include "schedules/gpu/product/strip_parts.h"
#include "schedules/gpu/product/tile_sum.h"

namespace emulsion {

using Halide::Func;

namespace {

// Whether the maps that the group makes are as large as the anchor's.
bool has_maps_of_anchor(const Group& group) {
    const std::vector<Value> maps = group.maps();
    return std::all_of(maps.begin(), maps.end(), [&](Value value) {
        const TensorType& type = group.body.type(value);
        return type.batched && type.shape == group.anchor_output().shape;
    });
}

}  // namespace

bool GpuProduct::applies(const Group& group, const Isa& isa) const {
    if (!is_product(group) || group.epilogue_window() != std::vector<int64_t>{1, 1}) return false;
    if (!has_maps_of_anchor(group) || !can_store_prologue(group) || strip_run(group) < 0)
        return false;
    const bool is_plain = group.strip_sums().empty() && group.stored_prologues().empty();
    return is_plain || !tilings(group, isa).empty();
}

// Parts of sums over strips are those of a thread.
TilingSpace GpuProduct::space(const Group& group, const Isa&) const {
    TilingSpace space = block_space(product_of(group).channels);
    for (TilingField& field : space) field.order = field.name == "tp" && strip_run(group) > 0;
    return space;
}

std::string GpuProduct::clash(const Group& group, const Tiling& tiling, const Isa& isa) const {
    const BlockTile tile = block_tile(tiling);
    for (const std::string& reason :
         {block_clash(tile, isa), staging_clash(product_of(group), tile),
          prologue_clash(group, tile)}) {
        if (!reason.empty()) return reason;
    }
    return strip_clash(group, tile, isa);
}

std::vector<Tiling> GpuProduct::tilings(const Group& group, const Isa& isa) const {
    const Product product = product_of(group);
    const int piece = looping_piece(product.channels, product.taps_w * product.taps_h);
    return block_tilings(
        product.m, product.positions(group.batch), 1, piece, isa, [&](const BlockTile& tile) {
            return staging_clash(product, tile).empty() && prologue_clash(group, tile).empty() &&
                   strip_clash(group, tile, isa).empty();
        });
}

double GpuProduct::cost(const Group& group, const Tiling& tiling, const Isa&,
                        const Machine&) const {
    const Product product = product_of(group);
    const double efficiency =
        block_efficiency(block_tile(tiling), product.m, product.positions(group.batch), 1);
    return device_seconds(1, traffic_bytes(group), product.multiply_adds(group.batch), efficiency);
}

std::vector<Func> GpuProduct::build(KernelContext& context, const Tiling& tiling) const {
    const Group& group = context.group();
    const Product product = product_of(group);
    const BlockTile tile = block_tile(tiling);
    const Operands operands(context, product);
    TileSum sum(product, tile, to_int(round_up(product.channels, tile.bk)), product.taps_w,
                product.taps_h);
    sum.define(operands.filter(sum.m, sum.c, sum.kx, sum.ky),
               operands.map(sum.p, sum.c, sum.kx, sum.ky, product.has_tail(tile)));
    std::vector<Func> results;
    if (group.strip_sums().empty()) {
        results = {sum.results(context, operands)};
        sum.schedule(results[0]);
    } else {
        results = with_strip_sums(context, operands, product, tile, sum);
    }
    if (!group.stored_prologues().empty())
        results.push_back(stored_prologue(context, operands, product, tile, results[0]));
    return results;
}

}  // namespace emulsion
