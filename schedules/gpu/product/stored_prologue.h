// The map that a block product reads, made by its prologue and stored for other readers, in its
// kernel (Group::stored_prologues): a block of the grid stores some channels of its own positions,
// so all of the grid store each element once.
#pragma once

#include <Halide.h>

#include <string>

#include "compiler/recipe/kernel_context.h"
#include "schedules/gpu/product/block_product.h"
#include "schedules/gpu/product/product_operands.h"

namespace emulsion {

// Whether the group stores nothing of its prologue, or the map alone, which has as many positions
// as the result.
bool can_store_prologue(const Group& group);

// Why blocks of this tile cannot share the map's channels out; empty where they can or need not.
std::string prologue_clash(const Group& group, const BlockTile& tile);

// The map over (channel, position), scheduled beside `result`, the product's (m, p).
// REQUIRES: can_store_prologue, and no prologue_clash.
Halide::Func stored_prologue(const KernelContext& context, const Operands& operands,
                             const Product& product, const BlockTile& tile,
                             const Halide::Func& result);

}  // namespace emulsion
