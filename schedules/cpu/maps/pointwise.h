// The default of every group without an anchor: one pass over memory, all results of an element at
// once.
#pragma once

#include "compiler/recipe/recipe.h"

namespace emulsion {

class Pointwise : public Recipe {
  public:
    std::string_view name() const override { return "pointwise"; }
    bool takes_pitches() const override { return true; }
    // Several results are computed before the first is stored.
    bool writes_in_place() const override { return true; }
    // Groups without an anchor whose results have one shape.
    bool applies(const Group& group, const Isa& isa) const override;
    // map_space
    TilingSpace space(const Group& group, const Isa& isa) const override;
    std::vector<Tiling> tilings(const Group& group, const Isa& isa) const override;
    double cost(const Group& group, const Tiling& tiling, const Isa& isa,
                const Machine& machine) const override;
    std::vector<Halide::Func> build(KernelContext& context, const Tiling& tiling) const override;
};

}  // namespace emulsion
