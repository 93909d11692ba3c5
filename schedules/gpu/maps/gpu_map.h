// The recipes of devices whose threads each make elements of their own.
#pragma once

#include "compiler/recipe/recipe.h"

namespace emulsion {

// Pointwise groups. Several results are computed into registers before any of them is stored: one
// may lie in the memory of an operand that another still has to read.
class GpuMap : public Recipe {
  public:
    std::string_view name() const override { return "gpu_map"; }
    bool is_for_devices() const override { return true; }
    bool writes_in_place() const override { return true; }
    bool applies(const Group& group, const Isa& isa) const override;
    TilingSpace space(const Group& group, const Isa& isa) const override;
    std::vector<Tiling> tilings(const Group& group, const Isa& isa) const override;
    double cost(const Group& group, const Tiling& tiling, const Isa& isa,
                const Machine& machine) const override;
    std::vector<Halide::Func> build(KernelContext& context, const Tiling& tiling) const override;
};

// Poolings and their gradients: a thread makes a vector of channels from the windows that it needs,
// so neighbouring threads read neighbouring channels.
class GpuPool : public Recipe {
  public:
    std::string_view name() const override { return "gpu_pool"; }
    bool is_for_devices() const override { return true; }
    bool applies(const Group& group, const Isa& isa) const override;
    TilingSpace space(const Group& group, const Isa& isa) const override;
    std::vector<Tiling> tilings(const Group& group, const Isa& isa) const override;
    double cost(const Group& group, const Tiling& tiling, const Isa& isa,
                const Machine& machine) const override;
    std::vector<Halide::Func> build(KernelContext& context, const Tiling& tiling) const override;
};

// The plain definition of any anchor: a thread makes an element and all that it needs. What runs on
// a device where no other recipe applies, and what the others are tested against.
class GpuFallback : public Recipe {
  public:
    std::string_view name() const override { return "gpu_default"; }
    bool is_for_devices() const override { return true; }
    bool is_last_resort() const override { return true; }
    bool applies(const Group& group, const Isa& isa) const override;
    std::vector<Tiling> tilings(const Group& group, const Isa& isa) const override;
    double cost(const Group& group, const Tiling& tiling, const Isa& isa,
                const Machine& machine) const override;
    std::vector<Halide::Func> build(KernelContext& context, const Tiling& tiling) const override;
};

}  // namespace emulsion
