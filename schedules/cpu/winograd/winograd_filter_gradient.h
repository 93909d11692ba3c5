// The filter gradient by Winograd's method: dw = G^T [ sum over tiles of (B^T d B) * (A dy A^T) ]
// G, the adjoint of compiler/ops/winograd.h in the filter. See the source for the loops.
#pragma once

#include "compiler/recipe/recipe.h"

namespace emulsion {

class WinogradFilterGradient : public Recipe {
  public:
    std::string_view name() const override { return "winograd_filter_gradient"; }
    bool takes_pitches() const override { return true; }
    bool is_exact() const override { return false; }
    double relative_error(const Group& group) const override;
    double multiply_adds(const Group& group) const override;
    bool applies(const Group& group, const Isa& isa) const override;
    TilingSpace space(const Group& group, const Isa& isa) const override;
    std::string clash(const Group& group, const Tiling& tiling, const Isa& isa) const override;
    std::vector<Tiling> tilings(const Group& group, const Isa& isa) const override;
    double cost(const Group& group, const Tiling& tiling, const Isa& isa,
                const Machine& machine) const override;
    // The partial sums.
    std::vector<Scratch> scratch(const Group& group, const Tiling& tiling) const override;
    std::vector<Halide::Func> build(KernelContext& context, const Tiling& tiling) const override;
};

}  // namespace emulsion
