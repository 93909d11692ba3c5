// The filter gradient by Winograd's method where channels are many: transforms of all tiles first,
// then blocks of the filter. See the source for the loops.
#pragma once

#include "compiler/recipe/recipe.h"

namespace emulsion {

class WinogradPanelGradient : public Recipe {
  public:
    std::string_view name() const override { return "winograd_panel_gradient"; }
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
    std::vector<Halide::Func> build(KernelContext& context, const Tiling& tiling) const override;
};

}  // namespace emulsion
