// Gradients of filters at stride 1 by Winograd's minimal filtering (compiler/ops/winograd.h) on
// devices, in four kernels:
//
//     data(c, t, q)           = B^T d B, of the map with its prologue and a border of zeros
//     gradients(o, t, q)      = A dy A^T
//     partial(o, c, q, part)  = sum over the part's tiles of gradients * data, block products
//     dw                      = G^T (sum over the parts, a fixed tree) G
//
// The parts follow from shapes and batch, never from the device.
#pragma once

#include "compiler/recipe/recipe.h"

namespace emulsion {

class GpuWinogradFilterGradient : public Recipe {
  public:
    std::string_view name() const override { return "gpu_winograd_filter_gradient"; }
    bool is_for_devices() const override { return true; }
    bool is_exact() const override { return false; }
    double relative_error(const Group& group) const override;
    bool applies(const Group& group, const Isa& isa) const override;
    TilingSpace space(const Group& group, const Isa& isa) const override;
    std::string clash(const Group& group, const Tiling& tiling, const Isa& isa) const override;
    std::vector<Tiling> tilings(const Group& group, const Isa& isa) const override;
    double cost(const Group& group, const Tiling& tiling, const Isa& isa,
                const Machine& machine) const override;
    double multiply_adds(const Group& group) const override;
    std::vector<Scratch> scratch(const Group& group, const Tiling& tiling) const override;
    std::vector<Halide::Func> build(KernelContext& context, const Tiling& tiling) const override;
};

}  // namespace emulsion
