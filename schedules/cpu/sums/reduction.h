// Reductions over positions, channels and samples: reduce, reduce_axes, partial_moments,
// partial_dots, merge_moments, group_statistics and group_coefficients.
//
// Sums are fixed trees. A row of positions is summed in a few interleaved chains with vector lanes
// over channels, rows in blocks, blocks in order; samples in blocks of 16, blocks in order;
// channels, those of large groups too, in 16 lanes and a tree. All sizes follow from shapes, never
// from threads or the instruction set.
#pragma once

#include "compiler/recipe/recipe.h"

namespace emulsion {

class Reduction : public Recipe {
  public:
    std::string_view name() const override { return "reduction"; }
    bool takes_pitches() const override { return true; }
    // Each result element is computed once, from the operands at its own place behind the anchor,
    // before it is stored: vectors whose tails are guarded or lie in the padding.
    bool writes_in_place() const override { return true; }
    bool applies(const Group& group, const Isa& isa) const override;
    // Where channels are kept and positions summed: `chunk`, channels side by side, as many as have
    // registers, and `units`, chunks of a sample in a task. No bits follow from them.
    TilingSpace space(const Group& group, const Isa& isa) const override;
    std::vector<Tiling> tilings(const Group& group, const Isa& isa) const override;
    double cost(const Group& group, const Tiling& tiling, const Isa& isa,
                const Machine& machine) const override;
    std::vector<Halide::Func> build(KernelContext& context, const Tiling& tiling) const override;
};

}  // namespace emulsion
