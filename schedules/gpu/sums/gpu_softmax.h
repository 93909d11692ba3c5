// Rows of a softmax on devices, of samples or of pixels: a block a row.
//
//     lane u of the block: the largest of scores u, u + lanes, …    } joined eight at a time, a
//     lane u: the sum of their exponentials, in that order          } fixed tree, in shared memory
//     thread: results c, c + lanes, …
#pragma once

#include "compiler/recipe/recipe.h"

namespace emulsion {

// Any op of ops/softmax_rows.h.
class GpuSoftmax : public Recipe {
  public:
    std::string_view name() const override { return "gpu_softmax"; }
    bool is_for_devices() const override { return true; }
    bool applies(const Group& group, const Isa& isa) const override;
    std::vector<Tiling> tilings(const Group& group, const Isa& isa) const override;
    double cost(const Group& group, const Tiling& tiling, const Isa& isa,
                const Machine& machine) const override;
    std::vector<Halide::Func> build(KernelContext& context, const Tiling& tiling) const override;
};

}  // namespace emulsion
