// Pointwise groups.
//
// A result that joins channels unrolls the vectors of a row, so that each knows which part it is
// of.
//
// Several results are computed as one Tuple into registers before any of them is stored: a result
// may lie in the memory of an operand that another result still has to read. Where they have few
// channels, these are the values of 16 positions.
#include "schedules/cpu/maps/pointwise.h"

#include <algorithm>

#include "compiler/graph/limits.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/common/group_work.h"
#include "schedules/cpu/common/tiling.h"
#include "schedules/cpu/maps/helpers.h"
#include "schedules/cpu/maps/map.h"
#include "schedules/cpu/maps/turned.h"

namespace emulsion {

using Halide::Func;
using Halide::TailStrategy;
using Halide::Var;

bool Pointwise::applies(const Group& group, const Isa&) const {
    return group.anchor < 0 && has_one_shape(group);
}

namespace {

const TensorType& result_type(const Group& group) {
    return group.body.type(group.body.results()[0].value);
}

bool fuses_rows(const Group& group) {
    return group.body.results().size() == 1 && group.pitches.empty() && reads_own_position(group);
}

constexpr int kMostUnrolled = 16;  // vectors of a row

// Vectors of a row that one loop runs through.
int strip_of(const Group& group, int strip) {
    const bool joins = std::ranges::any_of(
        group.body.nodes(), [](const Node& node) { return node.op->joins_channels(); });
    const std::vector<int64_t>& shape = result_type(group).shape;
    if (!joins || shape.empty()) return strip;
    const int vectors = divide_up(to_int(shape[0]), kLanes);
    return vectors <= kMostUnrolled ? std::max(strip, vectors) : strip;
}

// Whether several results of few channels are walked along their rows: by 16 positions, which are
// whole vectors, in rows that no task cuts.
bool walks_whole_rows(const Group& group) {
    constexpr int64_t kMostChannels = 8, kLongestRow = 1024;
    const TensorType& type = result_type(group);
    if (group.body.results().size() == 1 || !group.pitches.empty() || !reads_own_position(group) ||
        !type.batched || type.shape.size() < 2)
        return false;
    const int64_t channels = type.shape[0], width = type.shape.back();
    return channels > 1 && channels < kMostChannels && width % kLanes == 0 &&
           channels * width <= kLongestRow;
}

// The values of 16 positions in registers, then in memory.
Func store_rows(const Func& values, const Group& group, const Tiling& tiling) {
    const TensorType& type = result_type(group);
    const int channels = to_int(type.shape[0]);
    const std::vector<Var> args = values.args();
    const Var row("row");
    std::vector<Var> of_flat = {row};
    of_flat.insert(of_flat.end(), args.begin() + 2, args.end());
    std::vector<Halide::Expr> from = as_exprs(args), to = as_exprs(of_flat), results, copies;
    from[0] = row % channels;
    from[1] = row / channels;
    to[0] = args[1] * channels + args[0];
    Func flat("flat"), stored("stored");
    for (int k = 0; k < values.outputs(); k++) results.push_back(values(from)[k]);
    flat(of_flat) = Halide::Tuple(results);
    for (int k = 0; k < values.outputs(); k++) copies.push_back(flat(to)[k]);
    stored(args) = Halide::Tuple(copies);
    MapOptions options = map_options(tiling, /*fuse_rows=*/true);
    options.strip = channels;
    const MapLoops loops = schedule_map(stored, type, group.batch, options);
    flat.compute_at(stored, Var(loops.around.at(1).name))
        .bound_storage(row, channels * kLanes)
        .vectorize(row, kLanes, TailStrategy::RoundUp);
    return stored;
}

}  // namespace

TilingSpace Pointwise::space(const Group& group, const Isa& isa) const {
    return map_space(group, isa, fuses_rows(group));
}

std::vector<Tiling> Pointwise::tilings(const Group&, const Isa&) const {
    return {{{{"task", 16384}}}, {{{"task", 4096}}}, {{{"task", 65536}}}};
}

double Pointwise::cost(const Group& group, const Tiling&, const Isa&,
                       const Machine& machine) const {
    return 1e-6 + traffic_bytes(group) / (machine.bandwidth_gbs * 1e9);
}

std::vector<Func> Pointwise::build(KernelContext& context, const Tiling& tiling) const {
    const Group& group = context.group();
    const TensorType& type = result_type(group);
    Func values = context.finish();
    if (schedule_turned(values, group, tiling.at("task"))) return {values};
    if (values.outputs() == 1) {
        MapOptions options = map_options(tiling, fuses_rows(group));
        options.strip = strip_of(group, options.strip);
        const MapLoops loops = schedule_map(values, type, group.batch, options);
        compute_helpers({values}, loops, type, {.batch = group.batch});
        return {values};
    }
    if (walks_whole_rows(group)) return {store_rows(values, group, tiling)};
    Func stored = stored_copy(values, "stored");
    const MapLoops loops = schedule_map(stored, type, group.batch, map_options(tiling));
    if (loops.inner.empty()) {
        values.compute_root();
        return {stored};
    }
    compute_helpers({stored}, loops, type, {.batch = group.batch});
    values.compute_at(stored, Var(loops.inner));
    for (const Var& var : values.args()) {
        if (var.name() != loops.vector) continue;
        values.bound_storage(var, kLanes).vectorize(var, kLanes, Halide::TailStrategy::GuardWithIf);
    }
    return {stored};
}

}  // namespace emulsion
