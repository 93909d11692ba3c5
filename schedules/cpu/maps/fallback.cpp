// Plain definitions with a generic schedule.
#include "schedules/cpu/maps/fallback.h"

#include <algorithm>

#include "compiler/recipe/kernel_context.h"
#include "schedules/common/group_work.h"
#include "schedules/cpu/common/tiling.h"
#include "schedules/cpu/maps/helpers.h"

namespace emulsion {

using Halide::Func;

namespace {

constexpr int kTasks = 32;
constexpr double kSerialBytes = 128e3;  // below this one thread is enough

}  // namespace

bool Fallback::applies(const Group& group, const Isa&) const {
    // A pooling behind the anchor would compute what its windows share again and again.
    if (group.epilogue_window() != std::vector<int64_t>{1, 1}) return false;
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
    const TensorType& type = group.body.type(group.body.results()[0].value);
    const bool is_contraction = group.multiply_adds() > 0;
    const bool parallel = is_contraction || traffic_bytes(group) > kSerialBytes;
    MapOptions options;
    if (group.anchor >= 0 && parallel) {  // an element may be much work
        options.task_elements = static_cast<int>(std::clamp<int64_t>(
            element_limit(type, group.batch) / kTasks, kLanes, options.task_elements));
    }
    MapLoops loops;
    for (size_t i = outputs.size(); i-- > 0;) {
        loops = schedule_map(outputs[i], group.body.type(group.body.results()[i].value),
                             group.batch, options);
    }
    // A contraction reads its operands again and again.
    for (int i = 0; is_contraction && i < static_cast<int>(group.anchor_node().inputs.size());
         i++) {
        if (group.has_prologue(i))
            stage_operand(context.operand(i), group.anchor_input(i), outputs[0], loops);
    }
    compute_helpers(outputs, loops, type, {.batch = group.batch, .parallel = parallel});
    return outputs;
}

}  // namespace emulsion
