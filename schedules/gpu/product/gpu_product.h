// Maps and features as block products: convolutions, their data gradients, dense layers and theirs.
//
// m counts the result's channels, p its positions of all samples, x + W * (y + H * n); the
// reduction walks over the operand's channels and the taps of the filter. What fuses in front of
// the map operand is computed while its panel is staged, zero outside the border, and stored where
// others read it (stored_prologue.h); what fuses behind the result, on the registers, sums over its
// strips too (strip_parts.h).
#pragma once

#include "compiler/recipe/recipe.h"

namespace emulsion {

class GpuProduct : public Recipe {
  public:
    std::string_view name() const override { return "gpu_product"; }
    bool is_for_devices() const override { return true; }
    bool writes_in_place() const override { return true; }
    bool sums_strips() const override { return true; }
    bool stores_prologue() const override { return true; }
    bool applies(const Group& group, const Isa& isa) const override;
    TilingSpace space(const Group& group, const Isa& isa) const override;
    std::string clash(const Group& group, const Tiling& tiling, const Isa& isa) const override;
    std::vector<Tiling> tilings(const Group& group, const Isa& isa) const override;
    double cost(const Group& group, const Tiling& tiling, const Isa& isa,
                const Machine& machine) const override;
    std::vector<Halide::Func> build(KernelContext& context, const Tiling& tiling) const override;
};

}  // namespace emulsion
