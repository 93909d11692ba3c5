// Pointwise groups.
//
// Several results are computed as one Tuple into registers before any of them is stored: a result
// may lie in the memory of an operand that another result still has to read.
#include "schedules/cpu/maps/pointwise.h"

#include <algorithm>

#include "compiler/recipe/kernel_context.h"
#include "schedules/cpu/common/tiling.h"
#include "schedules/cpu/maps/map.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::Var;

bool has_one_shape(const Group& group) {
    const TensorType& first = group.body.type(group.body.results()[0].value);
    return std::all_of(group.body.results().begin(), group.body.results().end(),
                       [&](const Result& result) {
                           const TensorType& type = group.body.type(result.value);
                           return type.shape == first.shape && type.batched == first.batched;
                       });
}

bool Pointwise::applies(const Group& group, const Isa&) const {
    return group.anchor < 0 && has_one_shape(group);
}

TilingSpace Pointwise::space(const Group&, const Isa&) const {
    return {{"task", {1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072}}};
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
    const TensorType& type = group.body.type(group.body.results()[0].value);
    const MapOptions options{.fuse_rows = reads_own_position(group) && group.pitches.empty(),
                             .task_elements = tiling.at("task")};
    Func values = context.finish();
    if (values.outputs() == 1) {
        schedule_map(values, type, group.batch, options);
        return {values};
    }
    const std::vector<Var> vars = values.args();
    const std::vector<Expr> at(vars.begin(), vars.end());
    std::vector<Expr> parts;
    for (int k = 0; k < values.outputs(); k++) parts.push_back(Func(values)(at)[k]);
    Func stored("stored");
    stored(vars) = Halide::Tuple(parts);
    const MapLoops loops =
        schedule_map(stored, type, group.batch, {.task_elements = tiling.at("task")});
    if (loops.inner.empty()) {
        values.compute_root();
        return {stored};
    }
    values.compute_at(stored, Var(loops.inner));
    for (const Var& var : vars) {
        if (var.name() != loops.vector) continue;
        values.bound_storage(var, kLanes).vectorize(var, kLanes, Halide::TailStrategy::GuardWithIf);
    }
    return {stored};
}

}  // namespace emulsion
