// The loops of the op reduce, by what it keeps.
//
//     channels and samples   chunk of a sample at a time
//     channels               the same into memory, then over the samples
//     samples                the same inside each sample, then 16 lanes over the channels
//     nothing                the same into memory, then 16 lanes over the samples
//
// Of a plain tensor the blocks of 16 along its first axis are what samples are of a batched one; if
// its channels are kept, so are its blocks.
#pragma once

#include <optional>

#include "compiler/ops/reduce.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/cpu/sums/lanes.h"
#include "schedules/cpu/sums/position_sum.h"

namespace emulsion {

class ReduceNest {
  public:
    ReduceNest(const KernelContext& context, const Reduce& op, const Tiling& tiling);
    Halide::Func build();

  private:
    Halide::Func keep_both();
    Halide::Func keep_channels();
    Halide::Func keep_blocks();
    Halide::Func keep_samples();
    Halide::Func keep_none();
    // Defines the sum over the channels of sample n; compute_sample schedules it inside a loop over
    // samples.
    Halide::Expr per_sample(const Halide::Var& n);
    void compute_sample(const Halide::Func& consumer, const Halide::Var& n);
    bool is_large() const;
    // The sum, or the mean.
    Halide::Expr result(const Halide::Expr& sum) const;

    const KernelContext& context_;
    const Reduce& op_;
    MapShape map_;
    SumShape shape_;
    Halide::Expr count_;    // samples, or blocks
    int batch_;             // the most of them
    Halide::Func sum_;      // (c, n): over the positions; undefined where there is only one
    Halide::Func channel_;  // (c, n): a copy of it
    std::optional<PositionSum> positions_;
    std::optional<LaneFold> channels_;
};

}  // namespace emulsion
