// Filter gradients of depthwise convolutions on devices, in a fixed number of parts:
//
//     partial(c, tap, part) = sum over the part's positions of dy(c, position) * x(·, under the
//     tap), x of the channel that filter c reads
//       block of some channels, a part, some rows of taps
//         thread of a vector of channels, one of some interleaved chains: the sums of these taps
//       tree over the chains, in shared memory
//     dw(c, tap) = sum over the parts, a fixed tree
//
// Parts and chains follow from shapes and batch, so the order of a sum does, too.
#pragma once

#include "compiler/recipe/recipe.h"

namespace emulsion {

class GpuDepthwiseFilterGradient : public Recipe {
  public:
    std::string_view name() const override { return "gpu_depthwise_filter_gradient"; }
    bool is_for_devices() const override { return true; }
    // Filters of one channel each.
    bool applies(const Group& group, const Isa& isa) const override;
    TilingSpace space(const Group& group, const Isa& isa) const override;
    std::string clash(const Group& group, const Tiling& tiling, const Isa& isa) const override;
    std::vector<Tiling> tilings(const Group& group, const Isa& isa) const override;
    double cost(const Group& group, const Tiling& tiling, const Isa& isa,
                const Machine& machine) const override;
    std::vector<Scratch> scratch(const Group& group, const Tiling& tiling) const override;
    std::vector<Halide::Func> build(KernelContext& context, const Tiling& tiling) const override;
};

}  // namespace emulsion
