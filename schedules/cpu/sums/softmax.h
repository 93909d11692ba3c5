// softmax, softmax_cross_entropy and its backward: a row that is not too long is copied into
// scratch, and its maximum and sum go through 16 lanes and one tree, whatever the instruction set.
#pragma once

#include "compiler/recipe/recipe.h"

namespace emulsion {

class SoftmaxRows : public Recipe {
  public:
    std::string_view name() const override { return "softmax"; }
    bool takes_pitches() const override { return true; }
    // The three anchors.
    bool applies(const Group& group, const Isa& isa) const override;
    // rows: rows of one task.
    TilingSpace space(const Group& group, const Isa& isa) const override;
    std::vector<Tiling> tilings(const Group& group, const Isa& isa) const override;
    double cost(const Group& group, const Tiling& tiling, const Isa& isa,
                const Machine& machine) const override;
    std::vector<Halide::Func> build(KernelContext& context, const Tiling& tiling) const override;
};

}  // namespace emulsion
