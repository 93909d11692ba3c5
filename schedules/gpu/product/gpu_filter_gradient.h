// Gradients of filters and of dense weights as block products, in a fixed number of parts:
//
//     partial(o, i, tap, part) = sum over the part's positions of dy(o, position) * x(i, position)
//     dw(o, i, tap)            = sum over the parts, a fixed tree
//
// A part is a run of lines: a row of dy, several short ones, or 16 positions where rows are tiny.
// The parts follow from shapes and batch, never from the device, and nothing is added atomically.
#pragma once

#include "compiler/recipe/recipe.h"

namespace emulsion {

class GpuFilterGradient : public Recipe {
  public:
    std::string_view name() const override { return "gpu_filter_gradient"; }
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
