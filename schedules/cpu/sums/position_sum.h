// Sums over the positions of one sample, by channel: the heavy part of reductions.
#pragma once

#include <Halide.h>

#include <functional>
#include <string>
#include <vector>

#include "compiler/graph/type.h"
#include "compiler/recipe/recipe.h"

namespace emulsion {

// A tensor as reductions see it: maps [n][H][W][C], where missing axes are 1. A batched scalar has
// one channel. A plain tensor is one map for each block of 16 along its first axis, with the lanes
// as channels and all other axes as positions; lanes behind the end are 0.
struct MapShape {
    explicit MapShape(const TensorType& type);
    int positions() const { return width * height; }
    // Coordinates of the tensor's Func.
    std::vector<Halide::Expr> at(const Halide::Expr& c, const Halide::Expr& x,
                                 const Halide::Expr& y, const Halide::Expr& n) const;
    int channels = 1, width = 1, height = 1;
    std::vector<int64_t> extents;  // in memory, n left out
    bool batched = true;
    int blocks = 1;  // of a plain tensor
};

// How sums over positions are cut up: what a sum follows from is a function of the shape alone.
struct SumShape {
    explicit SumShape(const MapShape& map);
    // Blocks of `rows` rows, the last one with what is left.
    SumShape(const MapShape& map, int rows);
    // The same sums with the chunk and the tasks of the tiling.
    SumShape tiled(const Tiling& tiling) const;
    int chunk = 1;     // channels side by side: 1, or some vectors
    int chains = 1;    // interleaved along a row; divides the width
    int rows = 1;      // of a block
    int blocks = 1;    // of a sample
    bool even = true;  // chunks are whole vectors and divide the channels
    int units = 1;     // of a task: chunks of a sample
};

// The sums of several values over the positions of each block of rows:
//
//     row(c, l, y, n) = sum over i of values(c, i * chains + l, y)       chains l in registers
//     block(c, b, n)  = sum over the block's rows y of the tree over l of row(c, l, y, n)
class PositionSum {
  public:
    // The values at position (x, y), which lies in block b.
    using Values = std::function<std::vector<Halide::Expr>(
        const Halide::Expr& c, const Halide::Expr& x, const Halide::Expr& y, const Halide::Expr& b,
        const Halide::Expr& n)>;
    PositionSum(const std::string& name, const MapShape& map, const SumShape& shape,
                const Values& values);

    // Sum `k` of block b of sample n.
    Halide::Expr block(size_t k, const Halide::Expr& c, const Halide::Expr& b,
                       const Halide::Expr& n) const;
    // Computes a block inside loop `level`, in which one chunk of channels of one sample is at
    // work.
    void compute_at(const Halide::LoopLevel& level);

  private:
    SumShape shape_;
    int height_;
    Halide::Func row_, block_;
    Halide::RDom over_row_, over_block_;
};

// The sums of blocks over a whole sample, as a Func over (c, n) with the given number of values.
Halide::Func sum_blocks(const std::string& name, const PositionSum& sums, size_t values,
                        const SumShape& shape);

// Vectorizes coordinate c of a stage, which runs over one chunk, and returns its loops, innermost
// first.
std::vector<Halide::VarOrRVar> vectorize_chunk(Halide::Stage stage, const Halide::Var& c,
                                               const SumShape& shape);
// Computes a Func over (c, …) inside loop `level`: vectors innermost, then `unrolled` where it is
// given, then the sums.
void compute_chunk_at(Halide::Func func, const Halide::LoopLevel& level, const SumShape& shape,
                      const std::vector<Halide::Var>& unrolled = {});

// Computes `sum`, made by sum_blocks of `positions`, inside loop `level`, in which one chunk of
// channels of one sample is at work.
void compute_positions(Halide::Func sum, PositionSum& positions, const Halide::LoopLevel& level,
                       const SumShape& shape);
// The same for `channel`, a copy of `sum` for all channels of the sample that is at work in
// `level`.
void compute_channels(Halide::Func channel, const Halide::Func& sum, PositionSum& positions,
                      const Halide::LoopLevel& level, const SumShape& shape, int channels);

}  // namespace emulsion
