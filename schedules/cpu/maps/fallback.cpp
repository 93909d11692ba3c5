// Plain definitions with a generic schedule.
#include "schedules/cpu/maps/fallback.h"

#include <algorithm>

#include "compiler/recipe/kernel_context.h"
#include "schedules/cpu/common/tiling.h"
#include "schedules/cpu/maps/map.h"
#include "schedules/cpu/maps/pointwise.h"

namespace emulsion {

using Halide::Func;

bool Fallback::applies(const Group& group, const Isa&) const {
    return has_one_shape(group) || (group.anchor >= 0 && !group.has_epilogue());
}

std::vector<Tiling> Fallback::tilings(const Group&, const Isa&) const { return {{}}; }

// Ten times a pass over memory, or a hundredth of the peak: any recipe made for the anchor is
// preferred.
double Fallback::cost(const Group& group, const Tiling&, const Isa&, const Machine& machine) const {
    double seconds = 1e-5 + 10 * traffic_bytes(group) / (machine.bandwidth_gbs * 1e9);
    if (group.anchor < 0) return seconds;
    std::vector<TensorType> inputs;
    for (Value value : group.anchor_node().inputs) inputs.push_back(group.body.type(value));
    const auto multiply_adds = static_cast<double>(group.anchor_node().op->multiply_adds(inputs));
    return seconds + 100 * 2 * multiply_adds * group.batch / (machine.fma_gflops * 1e9);
}

std::vector<Func> Fallback::build(KernelContext& context, const Tiling&) const {
    const Group& group = context.group();
    std::vector<Func> outputs;
    if (group.anchor < 0) {
        outputs = {context.finish()};
    } else if (has_one_shape(group)) {
        outputs = {context.finish(context.plain())};
    } else {
        const std::vector<Func> plain = context.plain();
        for (const Result& result : group.body.results()) {
            outputs.push_back(plain[static_cast<size_t>(result.value.output)]);
        }
    }
    MapLoops loops;
    for (size_t i = outputs.size(); i-- > 0;) {
        loops =
            schedule_map(outputs[i], group.body.type(group.body.results()[i].value), group.batch);
    }
    compute_helpers(outputs, loops);
    return outputs;
}

}  // namespace emulsion
