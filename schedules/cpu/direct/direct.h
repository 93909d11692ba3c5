// Direct convolution in its three directions: loop nests that keep a tile of results in registers
// for the whole reduction.
#pragma once

#include "schedules/cpu/common/tiling.h"

namespace emulsion {

// conv2d; with rotated filters also the data gradient of a convolution of stride 1.
//
//     for task (n, block of rows):             order 0, or with order 1: for task block of
//     channels: for n
//       staged: zero-padded input rows, the prologue applied, where there is padding or a prologue
//       for block of output channels, tile of positions:
//         accumulator[channels][positions] = sum over kh, kw, c of filter * broadcast staged
//         (registers) result = epilogue(accumulator)
//
// Where a block of channels holds whole groups, a lane reads a channel of its own group: tiles of
// positions outside, blocks of channels inside.
class DirectForward : public Recipe {
  public:
    std::string_view name() const override { return "direct"; }
    bool takes_pitches() const override { return true; }
    bool writes_in_place() const override { return true; }
    bool applies(const Group& group, const Isa& isa) const override;
    TilingSpace space(const Group& group, const Isa& isa) const override;
    std::string clash(const Group& group, const Tiling& tiling, const Isa& isa) const override;
    std::vector<Tiling> tilings(const Group& group, const Isa& isa) const override;
    Tiling default_tiling(const Group& group, const Isa& isa,
                          const Machine& machine) const override;
    double cost(const Group& group, const Tiling& tiling, const Isa& isa,
                const Machine& machine) const override;
    std::vector<Halide::Func> build(KernelContext& context, const Tiling& tiling) const override;
};

// conv2d_backward_filter.
//
//     for task (partition p of the samples, input channels, group of blocks of output channels):
//       for samples and rows of p, a chunk at a time:
//         staged copies of the chunk of x (padded) and dy, prologues applied, dy zero for absent
//         samples for tile of (output channels, input channels, kw, kh):
//           tile += sum over the chunk's positions of dy * broadcast x (registers)
//     dw = tree over p
// Sample groups go round-robin to the partitions, whose number follows from the compiled batch and
// the shape.
class DirectFilterGradient : public Recipe {
  public:
    std::string_view name() const override { return "direct_filter_gradient"; }
    bool takes_pitches() const override { return true; }
    bool applies(const Group& group, const Isa& isa) const override;
    TilingSpace space(const Group& group, const Isa& isa) const override;
    std::string clash(const Group& group, const Tiling& tiling, const Isa& isa) const override;
    std::vector<Tiling> tilings(const Group& group, const Isa& isa) const override;
    double cost(const Group& group, const Tiling& tiling, const Isa& isa,
                const Machine& machine) const override;
    std::vector<Halide::Func> build(KernelContext& context, const Tiling& tiling) const override;
};

// conv2d_backward_data with rotated filters: one accumulator for each phase (x mod stride, y mod
// stride) over the taps that reach it, so nothing is multiplied by the zeros between strides.
class DirectStridedDataGradient : public Recipe {
  public:
    std::string_view name() const override { return "direct_strided_data_gradient"; }
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
