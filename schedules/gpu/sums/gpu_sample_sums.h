// Sums within a sample, on devices: strips of rows (partial_moments, partial_dots), means of maps
// and over axes (reduce, reduce_axes).
//
//     block of some channels, one strip or what else a result sums up
//       thread of one channel, one of some interleaved chains
//     tree over the chains, in shared memory
//
// Chains follow from shapes, so the order of a sum does, too.
#pragma once

#include "compiler/recipe/recipe.h"

namespace emulsion {

class GpuSampleSums : public Recipe {
  public:
    std::string_view name() const override { return "gpu_sample_sums"; }
    bool is_for_devices() const override { return true; }
    // Of reduce, those that keep samples apart.
    bool applies(const Group& group, const Isa& isa) const override;
    TilingSpace space(const Group& group, const Isa& isa) const override;
    std::string clash(const Group& group, const Tiling& tiling, const Isa& isa) const override;
    std::vector<Tiling> tilings(const Group& group, const Isa& isa) const override;
    double cost(const Group& group, const Tiling& tiling, const Isa& isa,
                const Machine& machine) const override;
    std::vector<Halide::Func> build(KernelContext& context, const Tiling& tiling) const override;
};

}  // namespace emulsion
