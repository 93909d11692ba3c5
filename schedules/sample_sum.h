// Loops over samples that reductions share.
#pragma once

#include <Halide.h>

#include <functional>
#include <string>
#include <vector>

#include "compiler/recipe/kernel_context.h"
#include "schedules/position_sum.h"

namespace emulsion {

// Schedules a Func over (c, n): chunks of channels of one sample, in parallel where there is much to read. Returns the
// loop inside which a chunk of a sample is at work.
Halide::LoopLevel schedule_samples(Halide::Func func, const SumShape& shape, const MapShape& map, int batch);

// The same for a Func that stays in memory for all samples and is computed in front of everything else.
Halide::LoopLevel store_samples(Halide::Func func, const SumShape& shape, const MapShape& map, int batch);

// The sum over the call's samples of value(c, n), as a Func over (c) computed in front of everything else: blocks of
// 16 samples in order, then the blocks in order.
Halide::Func sum_samples(const std::string& name, const KernelContext& context, int channels,
                         const std::function<Halide::Expr(const Halide::Expr& c, const Halide::Expr& n)>& value);

// Element k of a vector f32[C] from its values over c < C: zero behind the channels.
Halide::Expr padded_vector(const Halide::Expr& k, int channels,
                           const std::function<Halide::Expr(const Halide::Expr& c)>& value);

// Finishes and schedules a group whose results are f32[C]: `values` are the anchor's at k.
Halide::Func finish_vector(const KernelContext& context, const Halide::Var& k, const std::vector<Halide::Expr>& values);

}  // namespace emulsion
