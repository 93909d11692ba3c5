// Helpers of maps: where each is computed, and in which loops.
#include "schedules/cpu/maps/helpers.h"

#include "compiler/graph/limits.h"
#include "compiler/ops/dropout.h"
#include "schedules/common/funcs.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

namespace emulsion {

using Halide::Func;
using Halide::TailStrategy;
using Halide::Var;

namespace {

// The innermost loop from which outwards every loop walks along one of `axes`: inside it nothing
// that depends on these alone is computed twice. Null where there is none.
const MapLoops::Loop* level_of(const MapLoops& loops, const std::set<std::string>& axes) {
    const MapLoops::Loop* level = nullptr;
    for (size_t i = loops.around.size(); i-- > 0;) {
        const MapLoops::Loop& loop = loops.around[i];
        const bool varies = std::any_of(loop.axes.begin(), loop.axes.end(),
                                        [&](const auto& axis) { return axes.contains(axis); });
        if (!varies) break;
        level = &loop;
    }
    return level;
}

std::set<std::string> axes_of(const Func& func) {
    std::set<std::string> axes;
    for (const Var& var : func.args()) axes.insert(var.name());
    return axes;
}

std::vector<Halide::Stage> stages_of(Func func) {
    std::vector<Halide::Stage> stages = {func};
    for (int i = 0; i < func.num_update_definitions(); i++) stages.emplace_back(func.update(i));
    return stages;
}

void vectorize_stages(const Func& func, const Var& var) {
    for (Halide::Stage& stage : stages_of(func))
        stage.vectorize(var, kLanes, TailStrategy::GuardWithIf);
}

void compute_in_front(Func helper, const HelperOptions& options) {
    const std::vector<Var> args = helper.args();
    helper.compute_root();
    if (args.empty()) return;
    for (const Var& arg : args) {
        if (arg.name() == "n") helper.bound_storage(arg, options.batch);
    }
    vectorize_stages(helper, args[0]);
    if (!options.parallel) return;
    for (Halide::Stage& stage : stages_of(helper)) {
        Var task = args.size() == 1 ? args[0] : args[1];
        for (size_t i = 2; i < args.size(); i++) {
            const Var fused("task" + std::to_string(i));
            stage.fuse(task, args[i], fused);
            task = fused;
        }
        stage.parallel(task);
    }
}

// Computes `helper` inside `level` of `out`, whose coordinates have these extents.
void compute_inside(Func helper, const Func& out, const MapLoops& loops,
                    const MapLoops::Loop& level, const std::map<std::string, int64_t>& extents) {
    helper.compute_at(out, Var(level.name));
    const bool is_inner = level.name == loops.inner;
    for (const Var& arg : helper.args()) {
        const auto found = extents.find(arg.name());
        if (found == extents.end()) continue;
        const bool is_vector = arg.name() == loops.vector;
        if (is_vector && is_inner) {
            helper.bound_storage(arg, kLanes);
        } else if (!level.axes.contains(arg.name())) {
            helper.bound_storage(arg, to_int(found->second));
        }
        if (is_vector) vectorize_stages(helper, arg);
    }
}

}  // namespace

void compute_helpers(const std::vector<Func>& outputs, const MapLoops& loops,
                     const TensorType& type, const HelperOptions& options) {
    std::vector<Func> helpers;
    for (Func& helper : helpers_of(outputs)) {
        if (helper.has_update_definition() || SpatialDropout::is_drawn(helper))
            helpers.push_back(helper);
    }
    // In front of everything else go those that no loop suits, what other outputs than the first
    // read, and what these read.
    std::set<std::string> in_front;
    const auto add_called = [&](const Func& func) {
        for (const auto& [name, called] : Halide::Internal::find_transitive_calls(func.function()))
            in_front.insert(name);
    };
    for (const Func& helper : helpers) {
        if (level_of(loops, axes_of(helper)) == nullptr) add_called(helper);
    }
    for (size_t i = 1; i < outputs.size(); i++) add_called(outputs[i]);
    std::map<std::string, int64_t> extents;
    const std::vector<int64_t> sizes = memory_extents(type);
    for (size_t i = 0; i < sizes.size(); i++) extents[outputs[0].args()[i].name()] = sizes[i];
    if (type.batched) extents["n"] = options.batch;
    for (Func& helper : helpers) {
        if (in_front.contains(helper.name())) {
            compute_in_front(helper, options);
        } else {
            compute_inside(helper, outputs[0], loops, *level_of(loops, axes_of(helper)), extents);
        }
    }
}

void stage_operand(Func operand, const TensorType& type, const Func& out, const MapLoops& loops) {
    const MapLoops::Loop* level = type.batched ? level_of(loops, {"n"}) : nullptr;
    if (type.batched && level == nullptr) return;
    const std::vector<int64_t> extents = memory_extents(type);
    if (extents.empty()) return;
    if (level != nullptr) {
        operand.compute_at(out, Var(level->name));
    } else {
        operand.compute_root();
    }
    for (size_t i = 0; i < extents.size(); i++)
        operand.bound_storage(operand.args()[i], to_int(round_up(extents[i], kLanes)));
    operand.vectorize(operand.args()[0], kLanes, TailStrategy::GuardWithIf);
}

}  // namespace emulsion
