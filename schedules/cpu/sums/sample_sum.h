// Loops over samples that reductions share.
#pragma once

#include <Halide.h>

#include <functional>
#include <string>
#include <vector>

#include "compiler/recipe/kernel_context.h"
#include "schedules/cpu/sums/position_sum.h"

namespace emulsion {

// Below this many elements one thread is enough.
inline constexpr int64_t kSerialElements = 32768;
bool is_worth_tasks(const MapShape& map, int batch);

// Schedules a Func over (c, n): chunks of channels of one sample, in parallel where there is much
// to read, `shape.units` of them in a task. Returns the loop inside which a chunk of a sample is at
// work.
Halide::LoopLevel schedule_samples(Halide::Func func, const SumShape& shape, const MapShape& map,
                                   int batch);

// The same for a Func over (c, w, strip, n) with one w: all strips of a chunk of a sample are in
// one task. Returns the loop inside which a chunk of a strip is at work.
Halide::LoopLevel schedule_strips(Halide::Func func, const SumShape& shape, const MapShape& map,
                                  int batch);

// The same as schedule_samples for a Func that stays in memory for all samples and is computed in
// front of everything else.
Halide::LoopLevel store_samples(Halide::Func func, const SumShape& shape, const MapShape& map,
                                int batch);

// The sum over i < count of value(c, i), as a Func over (c) computed in front of everything else:
// blocks of 16 in order, then the blocks in order. `count` is at least 1.
Halide::Func sum_in_blocks(
    const std::string& name, const Halide::Expr& count, int channels,
    const std::function<Halide::Expr(const Halide::Expr& c, const Halide::Expr& i)>& value);

// Element k of a vector f32[C] from its values over c < C: zero behind the channels.
Halide::Expr padded_vector(const Halide::Expr& k, int channels,
                           const std::function<Halide::Expr(const Halide::Expr& c)>& value);

// Finishes and schedules a group whose results are f32[C]: `values` are the anchor's at k.
Halide::Func finish_vector(const KernelContext& context, const Halide::Var& k,
                           const std::vector<Halide::Expr>& values);

}  // namespace emulsion
