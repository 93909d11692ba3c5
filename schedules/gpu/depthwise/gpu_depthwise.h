// Depthwise convolutions and their data gradients on devices:
//
//     block of some channels and a tile of positions
//       what the tile reads, with its border, into shared memory, dealt to the threads
//       thread of a vector of channels, one position: a multiply-add for each tap, where they are
//       many in a loop over their rows
//
// What fuses in front of the map is computed while it is staged, once in a block; what fuses behind
// the result, on registers.
#pragma once

#include "compiler/recipe/recipe.h"

namespace emulsion {

class GpuDepthwise : public Recipe {
  public:
    std::string_view name() const override { return "gpu_depthwise"; }
    bool is_for_devices() const override { return true; }
    // Filters of one channel each; in gradients, one for each channel.
    bool applies(const Group& group, const Isa& isa) const override;
    TilingSpace space(const Group& group, const Isa& isa) const override;
    std::string clash(const Group& group, const Tiling& tiling, const Isa& isa) const override;
    std::vector<Tiling> tilings(const Group& group, const Isa& isa) const override;
    double cost(const Group& group, const Tiling& tiling, const Isa& isa,
                const Machine& machine) const override;
    std::vector<Halide::Func> build(KernelContext& context, const Tiling& tiling) const override;
};

}  // namespace emulsion
