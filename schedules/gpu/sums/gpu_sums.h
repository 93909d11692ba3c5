// Sums over samples and positions with one result per channel, or over a whole parameter, on
// devices: reduce and merge_moments.
//
//     block of 8 channels, part of the terms
//       thread of one channel, one of 16 interleaved chains
//     tree over the chains, in shared memory; a second kernel adds the parts, in order
//
// Few terms are one part, and then one kernel does it all.
//
// Parts and chains follow from shapes and batch, so the order of a sum does, too.
#pragma once

#include "compiler/recipe/recipe.h"

namespace emulsion {

class GpuSums : public Recipe {
  public:
    std::string_view name() const override { return "gpu_sums"; }
    bool is_for_devices() const override { return true; }
    // Of reduce, those that add samples up, and those over whole parameters.
    bool applies(const Group& group, const Isa& isa) const override;
    std::vector<Tiling> tilings(const Group& group, const Isa& isa) const override;
    double cost(const Group& group, const Tiling& tiling, const Isa& isa,
                const Machine& machine) const override;
    std::vector<Scratch> scratch(const Group& group, const Tiling& tiling) const override;
    std::vector<Halide::Func> build(KernelContext& context, const Tiling& tiling) const override;
};

}  // namespace emulsion
