// Gradients of the filters of convolutions of several groups as block products, in a fixed number
// of parts (gpu_filter_gradient.h):
//
//     partial(o, i, z) = sum over the part's positions of dy(o, position) * x(i, position)
//     dw(o, i, tap)    = sum over the parts, a fixed tree
//
// z counts taps, groups and parts, as the third axis of the grid. Narrow groups are joined to
// products of up to 16 channels, of which the pairs of channels of one group alone are read.
#pragma once

#include "compiler/recipe/recipe.h"

namespace emulsion {

class GpuGroupedFilterGradient : public Recipe {
  public:
    std::string_view name() const override { return "gpu_grouped_filter_gradient"; }
    bool is_for_devices() const override { return true; }
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
