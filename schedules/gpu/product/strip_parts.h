// Sums over strips (ops/moments.h) of the map that a block product makes, in its kernel:
//
//     first(m, v)  = the first value of chunk v, the tp positions of a thread
//     part(m, v)   = sums over a chunk, a tree in the thread that holds it
//     sums(m, s)   = a tree over the chunks of strip s
//
// The positions of a strip lie one after another and a block has whole strips, so a strip's sums
// are made in one block, in an order that the tile's tp alone decides.
#pragma once

#include <Halide.h>

#include <string>
#include <vector>

#include "compiler/recipe/kernel_context.h"
#include "schedules/gpu/product/block_product.h"
#include "schedules/gpu/product/product_operands.h"
#include "schedules/gpu/product/tile_sum.h"

namespace emulsion {

// Positions of a strip, where blocks of the group's product can sum all that it has; 0 where the
// group sums none, -1 where they cannot.
int strip_run(const Group& group);

// Shared memory of a block for the parts of these sums, beside its panels.
int strip_bytes(const Group& group, const BlockTile& tile);

// Why blocks of this tile cannot sum the group's strips; empty where they can or need not.
std::string strip_clash(const Group& group, const BlockTile& tile, const Isa& isa);

// The group's results, maps over (channel, position) and sums over (channel, strip), scheduled.
// REQUIRES: strip_run(group) > 0, and no strip_clash.
std::vector<Halide::Func> with_strip_sums(const KernelContext& context, const Operands& operands,
                                          const Product& product, const BlockTile& tile,
                                          TileSum& sum);

}  // namespace emulsion
