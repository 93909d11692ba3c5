// Reading ahead. A kernel that copies a block of its input, then multiplies from the copy, leaves
// the memory idle meanwhile; each register tile of the multiplication asks for a part of the next
// block.
#pragma once

#include <Halide.h>

#include "compiler/recipe/kernel_context.h"

namespace emulsion {

// Whether that pays for a product of `channels` by `out_channels`, of maps of `bytes`: where
// products are few for what they read, and the maps do not stay in the last cache.
bool reads_ahead(int channels, int out_channels, double bytes);

// A 0 that, where it is computed, asks for part `part` of the maps under operand i of the anchor,
// in the order of memory, where `parts` parts cover `covered` positions.
Halide::Expr read_ahead(const KernelContext& context, int i, const Halide::Expr& part, int covered,
                        int parts);

}  // namespace emulsion
