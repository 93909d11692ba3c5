// Sums and maxima at indices, and sums at places between cells: each value meets its column, or the
// cells around its place, in vectors of channels.
//
//     task                    a sample and 16 channels, or of sums over all samples 16 channels
//       places, in order      (samples outside)
//         16 channels
#pragma once

#include "compiler/recipe/recipe.h"

namespace emulsion {

class Scatter : public Recipe {
  public:
    std::string_view name() const override { return "scatter"; }
    // scatter_sum, scatter_max and deform_sample_backward_data, and nothing behind it.
    bool applies(const Group& group, const Isa& isa) const override;
    std::vector<Tiling> tilings(const Group&, const Isa&) const override { return {{}}; }
    double cost(const Group& group, const Tiling& tiling, const Isa& isa,
                const Machine& machine) const override;
    std::vector<Halide::Func> build(KernelContext& context, const Tiling& tiling) const override;
};

}  // namespace emulsion
