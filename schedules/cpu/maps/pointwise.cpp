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

using Halide::Func;
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
    if (values.outputs() == 1) {
        schedule_map(values, type, group.batch, map_options(tiling, fuses_rows(group)));
        return {values};
    }
    Func stored = stored_copy(values, "stored");
    const MapLoops loops = schedule_map(stored, type, group.batch, map_options(tiling));
    if (loops.inner.empty()) {
        values.compute_root();
        return {stored};
    }
    values.compute_at(stored, Var(loops.inner));
    for (const Var& var : values.args()) {
        if (var.name() != loops.vector) continue;
        values.bound_storage(var, kLanes).vectorize(var, kLanes, Halide::TailStrategy::GuardWithIf);
    }
    return {stored};
}

}  // namespace emulsion
