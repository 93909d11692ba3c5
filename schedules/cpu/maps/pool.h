// Pooling as a kernel of its own, forward and backward, for any window: one pass over the result,
// each element from its window's cells.
#pragma once

#include "compiler/recipe/recipe.h"

namespace emulsion {

class Pool : public Recipe {
  public:
    std::string_view name() const override { return "pool"; }
    bool takes_pitches() const override { return true; }
    // max_pool, average_pool and their backwards.
    bool applies(const Group& group, const Isa& isa) const override;
    // map_space
    TilingSpace space(const Group& group, const Isa& isa) const override;
    std::vector<Tiling> tilings(const Group& group, const Isa& isa) const override;
    double cost(const Group& group, const Tiling& tiling, const Isa& isa,
                const Machine& machine) const override;
    std::vector<Halide::Func> build(KernelContext& context, const Tiling& tiling) const override;
};

}  // namespace emulsion
