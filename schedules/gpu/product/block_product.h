// The nest behind convolutions, their gradients and dense layers on devices:
//
//     acc(m, p) = sum over r of a(r, m) * b(r, p)
//
//     block of bm x bp results
//       pieces of bk of the reduction
//         both operands' panels into shared memory, dealt to the threads
//         thread of tm x tp results, in registers
//           bk multiply-adds for each of them
//
// A thread's m are vectors of four, dealt so that neighbouring threads read neighbouring vectors
// (Panel::vectors), or single ones where the panel of `a` lies with the reduction innermost
// (Panel::rows). The order of a sum is that of the reduction, whatever the tile. See V. Volkov and
// J. Demmel, "Benchmarking GPUs to Tune Dense Linear Algebra", 2008.
#pragma once

#include <Halide.h>

#include <functional>
#include <string>
#include <vector>

#include "compiler/recipe/recipe.h"

namespace emulsion {

// Floats between rows of panels with the reduction innermost: neighbouring threads then read
// different banks.
inline constexpr int kRowPadding = 4;

inline constexpr int kMostPiece = 32;

// Registers of a thread beside its results: operands, addresses.
inline constexpr int kOtherRegisters = 72;

struct BlockTile {
    int bm = 64, bp = 64;  // results of a block
    int tm = 8, tp = 8;    // of a thread
    int bk = 16;           // of the reduction, staged at once
    int threads_m() const { return bm / tm; }
    int threads() const { return bm / tm * (bp / tp); }
    int unrolled() const { return bk % 4 == 0 ? 4 : bk % 2 == 0 ? 2 : 1; }
    int shared_bytes() const { return 4 * (bk + kRowPadding) * (bm + bp); }
};
BlockTile block_tile(const Tiling& tiling);
Tiling to_tiling(const BlockTile& tile);

// The fields of tilings, for reductions in pieces of at most `reduction`. The smallest blocks have
// `fewest_channels`: 16, or the 4 of a thread.
TilingSpace block_space(int reduction, int fewest_channels = 16);
// Why a device cannot run the tile; empty where it can.
std::string block_clash(const BlockTile& tile, const Isa& isa);
// Tiles for `copies` times `m` x `p` results with pieces of this size, best first; those alone that
// `fits` takes.
using TileTest = std::function<bool(const BlockTile&)>;
std::vector<Tiling> block_tilings(int m, int64_t p, int64_t copies, int piece, const Isa& isa,
                                  const TileTest& fits = {}, int fewest_channels = 16);
// Share of the multiply-adds that are not beyond the results, times how well tiles of that size
// keep a device busy.
double block_efficiency(const BlockTile& tile, int m, int64_t p, int64_t copies);

enum class Panel {
    vectors,  // [bk][bm], m innermost
    rows,     // [bm][bk], the reduction innermost
};

// The channel itself, or a last one beyond them: vectors of channels stay whole where the channels
// are a multiple of four.
Halide::Expr channel_in(const Halide::Expr& channel, int channels);

// Stages `panel(inner, outer, …)` in shared memory; the threads of a block share the copy.
void stage_panel(Halide::Func panel, const Halide::Var& inner, int inner_extent,
                 const Halide::Var& outer, int outer_extent, int threads);

// The operands of products whose reduction's first axis is innermost in that of the map: the
// filter's panel (its axes m and the reduction in the order of `panel`), the map's (reduction, p),
// and what the threads read of them at once. `filter_rows` is of Panel::rows alone.
struct Staged {
    Halide::Func filter, filter_rows, map, map_rows;
};
// Panels once a piece of the reduction, rows once a step of it.
void stage_operands(Staged operands, const Halide::LoopLevel& piece, const Halide::LoopLevel& step,
                    const BlockTile& tile, Panel panel);

// Deals the axes m and p of one stage, over a block, to threads and registers: loops `inside` are
// inside those over threads, `outside` around them.
void deal_to_threads(Halide::Stage stage, const Halide::Var& m, const Halide::Var& p,
                     const BlockTile& tile, Panel panel,
                     const std::vector<Halide::VarOrRVar>& inside = {},
                     const std::vector<Halide::VarOrRVar>& outside = {});

// Products whose operands both lie with an axis of the product innermost: a(m, i, …), b(c, i, …)
// and rows(c, i, …) = b(c, i, …), what a thread reads of b at once.
struct RowOperands {
    Halide::Func a, b, rows;
};
// Schedules sum(m, c, rest…) += a * rows over a reduction in pieces along its first axis `along`;
// `others` are its other axes.
void schedule_row_sum(Halide::Func sum, RowOperands operands, const Halide::RVar& along,
                      const std::vector<Halide::VarOrRVar>& others, const BlockTile& tile);

// Splits the channels of a whole Func (m, …) into blocks, loop `mo`, and in them `mi`, single ones
// or vectors of four, loop `mv`.
void split_channels(Halide::Func result, int channels, const BlockTile& tile, Panel panel);

// The same for a whole Func (m, p) of so many channels, whose blocks are those of the grid: loop
// `po` is the innermost over blocks. A third axis is one of the grid too.
void deal_results(Halide::Func result, int channels, const BlockTile& tile, Panel panel);

}  // namespace emulsion
