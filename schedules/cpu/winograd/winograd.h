// Winograd convolution (compiler/ops/winograd.h): transforms and products in tiles that stay in the
// second cache. See winograd.cpp for the loops.
#pragma once

#include "compiler/recipe/recipe.h"

namespace emulsion {

class Winograd : public Recipe {
  public:
    std::string_view name() const override { return "winograd"; }
    bool takes_pitches() const override { return true; }
    bool is_exact() const override { return false; }
    bool sums_strips() const override { return true; }
    bool stores_prologue() const override { return true; }
    bool writes_in_place() const override { return true; }
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

// The filter transform: a few vector operations for each filter of a pair of channels, bound by
// memory.
class WinogradFilterTransform : public Recipe {
  public:
    std::string_view name() const override { return "winograd_filter"; }
    bool applies(const Group& group, const Isa& isa) const override;
    std::vector<Tiling> tilings(const Group& group, const Isa& isa) const override;
    double cost(const Group& group, const Tiling& tiling, const Isa& isa,
                const Machine& machine) const override;
    std::vector<Halide::Func> build(KernelContext& context, const Tiling& tiling) const override;
};

}  // namespace emulsion
