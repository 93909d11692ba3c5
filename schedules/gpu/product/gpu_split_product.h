// Products with few results, such as dense layers and the convolutions of few samples: the
// reduction's channels are summed in a fixed number of parts, so that more blocks have work.
//
//     partial(m, p, part) = the block product over the part's channels
//     result(m, p)        = sum over the parts, a fixed tree
//
// The parts follow from shapes and batch, never from the device.
#pragma once

#include "compiler/recipe/recipe.h"

namespace emulsion {

class GpuSplitProduct : public Recipe {
  public:
    std::string_view name() const override { return "gpu_split_product"; }
    bool is_for_devices() const override { return true; }
    // As gpu_product, where there are channels for two parts.
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
