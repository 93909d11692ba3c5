// The gradient of a strided convolution's data as a block product for each class of cells, those
// that are equal modulo the stride in both axes:
//
//     partial(i, cell, class) = sum over o and the class's taps of w(o, i, tap) * dy(o, position)
//     dx(i, y, x)             = partial of the class of (y, x)
//
// A class has the taps that reach it alone, so no zero between strided positions is multiplied. A
// second kernel brings the classes together.
#pragma once

#include "compiler/recipe/recipe.h"

namespace emulsion {

class GpuStridedGradient : public Recipe {
  public:
    std::string_view name() const override { return "gpu_strided_gradient"; }
    bool is_for_devices() const override { return true; }
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
