// Dense layers in three directions as register-tiled matrix products. Weights stay in their own
// layout, (lane, i, block): blocks of 16 output features.
#pragma once

#include "schedules/cpu/common/tiling.h"

namespace emulsion {

// dense: y[n][o] = sum over i of w[o][i] * x[n][i].
//
//     for task (panel of output features, group of samples), tile of samples:
//       tile[outputs][samples] = sum over i of w * broadcast x       (registers)
// With few samples the sum over i runs in several chains side by side. How many depends on the
// compiled batch, so the bits of a row depend neither on the other rows nor on their number.
class Matmul : public Recipe {
  public:
    std::string_view name() const override { return "matmul"; }
    bool takes_pitches() const override { return true; }
    bool applies(const Group& group, const Isa& isa) const override;
    TilingSpace space(const Group& group, const Isa& isa) const override;
    std::string clash(const Group& group, const Tiling& tiling, const Isa& isa) const override;
    std::vector<Tiling> tilings(const Group& group, const Isa& isa) const override;
    double cost(const Group& group, const Tiling& tiling, const Isa& isa,
                const Machine& machine) const override;
    std::vector<Halide::Func> build(KernelContext& context, const Tiling& tiling) const override;
};

// dense_backward_data: dx[n][i] = sum over o of w[o][i] * dy[n][o]. Each task transposes its panel
// of the weights into scratch and multiplies by it.
class MatmulDataGradient : public Recipe {
  public:
    std::string_view name() const override { return "matmul_data_gradient"; }
    bool takes_pitches() const override { return true; }
    bool applies(const Group& group, const Isa& isa) const override;
    TilingSpace space(const Group& group, const Isa& isa) const override;
    std::string clash(const Group& group, const Tiling& tiling, const Isa& isa) const override;
    std::vector<Tiling> tilings(const Group& group, const Isa& isa) const override;
    double cost(const Group& group, const Tiling& tiling, const Isa& isa,
                const Machine& machine) const override;
    std::vector<Halide::Func> build(KernelContext& context, const Tiling& tiling) const override;
};

// dense_backward_weights: dw[o][i] = sum over n of dy[n][o] * x[n][i], in the order of the samples.
class MatmulWeightGradient : public Recipe {
  public:
    std::string_view name() const override { return "matmul_weight_gradient"; }
    bool takes_pitches() const override { return true; }
    bool applies(const Group& group, const Isa& isa) const override;
    TilingSpace space(const Group& group, const Isa& isa) const override;
    std::string clash(const Group& group, const Tiling& tiling, const Isa& isa) const override;
    std::vector<Tiling> tilings(const Group& group, const Isa& isa) const override;
    double cost(const Group& group, const Tiling& tiling, const Isa& isa,
                const Machine& machine) const override;
    std::vector<Halide::Func> build(KernelContext& context, const Tiling& tiling) const override;
};

}  // namespace emulsion
