// Pooling: the plain definition is a chain over the taps of a window, vectorized over channels.
#include "schedules/cpu/maps/pool.h"

#include "compiler/ops/pool_attributes.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/common/anchor.h"
#include "schedules/common/group_work.h"
#include "schedules/cpu/common/tiling.h"
#include "schedules/cpu/maps/helpers.h"

namespace emulsion {

using Halide::Func;

bool Pool::applies(const Group& group, const Isa&) const {
    return anchor_as<PoolAttributes>(group) != nullptr && has_one_shape(group);
}

TilingSpace Pool::space(const Group& group, const Isa& isa) const { return map_space(group, isa); }

std::vector<Tiling> Pool::tilings(const Group&, const Isa&) const {
    return {{{{"task", 8192}}}, {{{"task", 2048}}}, {{{"task", 32768}}}};
}

double Pool::cost(const Group& group, const Tiling&, const Isa&, const Machine& machine) const {
    return 1e-6 + traffic_bytes(group) / (machine.bandwidth_gbs * 1e9);
}

std::vector<Func> Pool::build(KernelContext& context, const Tiling& tiling) const {
    const Group& group = context.group();
    Func out = context.finish(context.plain());
    const TensorType& type = group.body.type(group.body.results()[0].value);
    const MapLoops loops = schedule_map(out, type, group.batch, map_options(tiling));
    compute_helpers({out}, loops, type, {.batch = group.batch});
    return {out};
}

}  // namespace emulsion
