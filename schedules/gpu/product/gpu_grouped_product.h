// Convolutions of several groups and the gradients of their data as block products, one for each
// group of channels:
//
//     result(m, p, g) = sum over c and taps of filter(m, c, tap, g) * map(c, p, tap, g)
//
// m and c count the channels of group g, p the positions of all samples; the group is a third axis
// of the grid. What fuses runs where gpu_product runs it. Blocks may be as narrow as the four
// channels of a thread, as groups often are.
#pragma once

#include "compiler/recipe/recipe.h"

namespace emulsion {

class GpuGroupedProduct : public Recipe {
  public:
    std::string_view name() const override { return "gpu_grouped_product"; }
    bool is_for_devices() const override { return true; }
    bool writes_in_place() const override { return true; }
    bool applies(const Group& group, const Isa& isa) const override;
    TilingSpace space(const Group& group, const Isa& isa) const override;
    std::string clash(const Group& group, const Tiling& tiling, const Isa& isa) const override;
    std::vector<Tiling> tilings(const Group& group, const Isa& isa) const override;
    double cost(const Group& group, const Tiling& tiling, const Isa& isa,
                const Machine& machine) const override;
    std::vector<Halide::Func> build(KernelContext& context, const Tiling& tiling) const override;
};

}  // namespace emulsion
