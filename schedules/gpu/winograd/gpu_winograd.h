// Convolutions at stride 1 and the gradients of their data by Winograd's minimal filtering
// (compiler/ops/winograd.h) on devices, in four kernels. Tiles are numbered
// t = tx + columns * (ty + rows * n), points of a tile q = j + points * i:
//
//     filters(m, c, q)  = G w G^T
//     data(c, t, q)     = B^T d B, of the map with its prologue and a border of zeros
//     products(m, t, q) = sum over c of filters(m, c, q) * data(c, t, q), block products
//     result            = A^T M A, with the epilogue
//
// Three of them do little but move memory, so it pays where channels are many on both sides. The
// filter is transformed in each call, as the weights of a training step are new in each.
#pragma once

#include "compiler/recipe/recipe.h"

namespace emulsion {

class GpuWinograd : public Recipe {
  public:
    std::string_view name() const override { return "gpu_winograd"; }
    bool is_for_devices() const override { return true; }
    bool is_exact() const override { return false; }
    double relative_error(const Group& group) const override;
    bool writes_in_place() const override { return true; }
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
