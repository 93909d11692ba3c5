// Parts of a product, and the two kernels of it.
//
// A tiling is a block's tile, and
//     parts    of the reduction's channels, each of whole pieces: the order of a sum follows from
//              it and from bk
#include "schedules/gpu/product/gpu_split_product.h"

#include <algorithm>

#include "compiler/graph/limits.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/common/funcs.h"
#include "schedules/common/group_work.h"
#include "schedules/gpu/common/elements.h"
#include "schedules/gpu/product/block_product.h"
#include "schedules/gpu/product/product_operands.h"
#include "schedules/gpu/product/tile_sum.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::Var;

namespace {

constexpr int kMostParts = 32;
constexpr int kFewestPieces = 2;  // of a part: one piece would be no loop

std::vector<int64_t> results_of_a_part(const Product& product, int batch) {
    return {product.m, product.positions(batch)};
}

int most_parts(const Product& product, int batch) {
    const int parts =
        std::min(kMostParts, product.channels / (kFewestPieces * piece_of(product.channels)));
    return to_int(std::min<int64_t>(parts, most_copies(results_of_a_part(product, batch))));
}

// For the blocks of one part.
int default_parts(const Product& product, const BlockTile& tile, int batch) {
    const int64_t positions = product.positions(batch);
    const int64_t grid = divide_up(product.m, tile.bm) * ((positions + tile.bp - 1) / tile.bp);
    return parts_that_fill(grid, most_parts(product, batch), /*fewest=*/2);
}

// Channels of a part, in whole pieces.
int share_of(const Product& product, const BlockTile& tile, int parts) {
    return to_int(round_up(divide_up(product.channels, parts), tile.bk));
}

// The sums of the parts, over (m, p, part), as a kernel of their own.
Func partial_sums(const KernelContext& context, const Product& product, const BlockTile& tile,
                  int parts) {
    const Operands operands(context, product);
    const int share = share_of(product, tile, parts);
    const Var part("part");
    TileSum sum(product, tile, share, product.taps_w, product.taps_h, {part});
    const Expr channel = part * share + sum.c;
    sum.define(operands.filter(sum.m, channel, sum.kx, sum.ky),
               operands.map(sum.p, channel, sum.kx, sum.ky,
                            /*has_tail=*/share * parts != product.channels));
    Func partial("partial");
    partial(sum.m, sum.p, part) = sum.value();
    sum.schedule(partial);
    return partial;
}

}  // namespace

bool GpuSplitProduct::applies(const Group& group, const Isa&) const {
    return is_product(group) && has_shape_of_anchor(group, /*batched=*/true) &&
           group.epilogue_window() == std::vector<int64_t>{1, 1} &&
           most_parts(product_of(group), group.batch) >= 2;
}

TilingSpace GpuSplitProduct::space(const Group& group, const Isa&) const {
    const Product product = product_of(group);
    TilingSpace space = block_space(product.channels);
    for (TilingField& field : space) field.order = field.name == "bk";
    space.push_back({"parts", {}, 2, most_parts(product, group.batch), true});
    return space;
}

std::string GpuSplitProduct::clash(const Group&, const Tiling& tiling, const Isa& isa) const {
    return block_clash(block_tile(tiling), isa);
}

std::vector<Tiling> GpuSplitProduct::tilings(const Group& group, const Isa& isa) const {
    const Product product = product_of(group);
    std::vector<Tiling> tilings =
        block_tilings(product.m, product.positions(group.batch), most_parts(product, group.batch),
                      piece_of(product.channels), isa);
    for (Tiling& tiling : tilings) {
        tiling.values.emplace_back("parts",
                                   default_parts(product, block_tile(tiling), group.batch));
    }
    return tilings;
}

double GpuSplitProduct::cost(const Group& group, const Tiling& tiling, const Isa&,
                             const Machine&) const {
    const Product product = product_of(group);
    const double efficiency = block_efficiency(block_tile(tiling), product.m,
                                               product.positions(group.batch), tiling.at("parts"));
    return device_seconds(2, traffic_bytes(group) + scratch_bytes(scratch(group, tiling)),
                          product.multiply_adds(group.batch), efficiency);
}

std::vector<Scratch> GpuSplitProduct::scratch(const Group& group, const Tiling& tiling) const {
    const Product product = product_of(group);
    std::vector<int64_t> extents = results_of_a_part(product, group.batch);
    extents.push_back(tiling.at("parts"));
    return {{"partial", extents}};
}

std::vector<Func> GpuSplitProduct::build(KernelContext& context, const Tiling& tiling) const {
    const TensorType& type = context.group().anchor_output();
    const Product product = product_of(context.group());
    const int parts = tiling.at("parts");
    const Func partial = partial_sums(context, product, block_tile(tiling), parts);
    const std::vector<Var> vars = coordinates(type);
    Expr position = vars.back();
    if (vars.size() == 4) position = vars[1] + product.width * (vars[2] + product.height * vars[3]);
    std::vector<Expr> terms;
    for (int k = 0; k < parts; k++) terms.push_back(partial(vars[0], position, k));
    Func merged("merged");
    merged(vars) = tree_sum(terms);
    const Func out = schedule_stores(context.finish(merged),
                                     std::min(256, context.isa().block_threads), has_vectors(type));
    return {out, partial};
}

}  // namespace emulsion
