// The recipe named `default`: the plain definition of any anchor with a legal schedule. It is what
// runs where no other recipe applies, and what the other recipes are tested against.
#pragma once

#include "compiler/recipe/recipe.h"

namespace emulsion {

class Fallback : public Recipe {
  public:
    std::string_view name() const override { return "default"; }
    bool takes_pitches() const override { return true; }
    bool is_last_resort() const override { return true; }
    // Any group whose results have one shape, and an anchor with results of several shapes on its
    // own.
    bool applies(const Group& group, const Isa& isa) const override;
    std::vector<Tiling> tilings(const Group& group, const Isa& isa) const override;
    double cost(const Group& group, const Tiling& tiling, const Isa& isa,
                const Machine& machine) const override;
    std::vector<Halide::Func> build(KernelContext& context, const Tiling& tiling) const override;
};

}  // namespace emulsion
