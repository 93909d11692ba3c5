// The loops of the op reduce_axes.
//
// A row is a position that is kept, of one sample; the positions that are not kept are its map. Of
// a plain tensor the lanes of its first axis are the channels, and its blocks are positions.
//
//     parallel task of rows:
//       channels kept      chunk of channels of a row: the sum over its map (position_sum.h)
//       channels summed    row: the same for all chunks into scratch, then 16 lanes over them
#pragma once

#include <optional>
#include <vector>

#include "compiler/ops/reduce.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/cpu/sums/lanes.h"
#include "schedules/cpu/sums/position_sum.h"

namespace emulsion {

class AxesNest {
  public:
    AxesNest(const KernelContext& context, const ReduceAxes& op);
    Halide::Func build();

  private:
    // Whether memory axis `i` of a sample is summed; 0 are the channels.
    bool sums(size_t i) const;
    // Whether the result has lanes without a value.
    bool is_padded() const { return !type_.batched && sums(0); }
    MapShape map_of_row() const;
    Halide::Expr row_at(const std::vector<Halide::Var>& vars) const;
    std::vector<Halide::Expr> position(const Halide::Expr& c, const Halide::Expr& x,
                                       const Halide::Expr& y, const Halide::Expr& row) const;
    // The sum over the channels of a row.
    Halide::Expr over_channels(const Halide::Expr& row);
    // Schedules the result and returns the loop inside which a row, or a chunk of it, is at work.
    Halide::LoopLevel schedule(Halide::Func out) const;
    void compute_at(const Halide::LoopLevel& level);

    const KernelContext& context_;
    const ReduceAxes& op_;
    const TensorType& type_;
    std::vector<int64_t> extents_;  // in memory, n left out
    MapShape map_;
    SumShape shape_;
    Halide::Func sum_;      // (c, row): over the map; undefined where that is one position
    Halide::Func channel_;  // (c, row): a copy of it
    std::optional<PositionSum> positions_;
    std::optional<LaneFold> channels_;
};

}  // namespace emulsion
