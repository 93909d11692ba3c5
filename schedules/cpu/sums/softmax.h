// softmax, log_softmax, the cross-entropies and their backwards, of samples and of pixels: a row
// that is not too long is copied into scratch, and its maximum and sums go through 16 lanes and one
// tree, whatever the instruction set. Of few classes, 16 pixels are side by side, each with its own
// maximum and sums in the order of the classes.
#pragma once

#include "compiler/recipe/recipe.h"

namespace emulsion {

class SoftmaxRows : public Recipe {
  public:
    std::string_view name() const override { return "softmax"; }
    bool takes_pitches() const override { return true; }
    // Any op of ops/softmax_rows.h.
    bool applies(const Group& group, const Isa& isa) const override;
    // rows: of one task: of samples, or lines of rows of pixels.
    TilingSpace space(const Group& group, const Isa& isa) const override;
    std::vector<Tiling> tilings(const Group& group, const Isa& isa) const override;
    double cost(const Group& group, const Tiling& tiling, const Isa& isa,
                const Machine& machine) const override;
    std::vector<Halide::Func> build(KernelContext& context, const Tiling& tiling) const override;
};

}  // namespace emulsion
