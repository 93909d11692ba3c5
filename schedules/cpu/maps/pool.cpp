// Pooling: the plain definition is a chain over the taps of a window, vectorized over channels.
#include "schedules/cpu/maps/pool.h"

#include <algorithm>

#include "compiler/recipe/kernel_context.h"
#include "schedules/cpu/common/tiling.h"
#include "schedules/cpu/maps/map.h"
#include "schedules/cpu/maps/pointwise.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::Var;

namespace {

// Whether anything reads an output of the anchor beyond the first.
bool reads_further_outputs(const Group& group) {
    const auto is_further = [&](Value value) {
        return value.node == group.anchor && value.output > 0;
    };
    for (const Result& result : group.body.results()) {
        if (is_further(result.value)) return true;
    }
    return std::any_of(group.body.nodes().begin(), group.body.nodes().end(), [&](const Node& node) {
        return std::any_of(node.inputs.begin(), node.inputs.end(), is_further);
    });
}

}  // namespace

Func finish_plain(const KernelContext& context) {
    std::vector<Func> plain = context.plain();
    if (plain.size() == 1 || !reads_further_outputs(context.group()))
        return context.finish(plain[0]);
    const std::vector<Var> vars = plain[0].args();
    const std::vector<Expr> at(vars.begin(), vars.end());
    std::vector<Expr> parts;
    for (Func& part : plain) parts.push_back(part(at));
    Func all("all");
    all(vars) = Halide::Tuple(parts);
    return context.finish(all);
}

bool Pool::applies(const Group& group, const Isa&) const {
    if (group.anchor < 0 || !has_one_shape(group)) return false;
    const std::string_view kind = group.anchor_node().op->kind();
    return kind == "max_pool" || kind == "max_pool_backward" || kind == "average_pool" ||
           kind == "average_pool_backward";
}

std::vector<Tiling> Pool::tilings(const Group&, const Isa&) const {
    return {{{{"task", 8192}}}, {{{"task", 2048}}}, {{{"task", 32768}}}};
}

double Pool::cost(const Group& group, const Tiling&, const Isa&, const Machine& machine) const {
    return 1e-6 + traffic_bytes(group) / (machine.bandwidth_gbs * 1e9);
}

std::vector<Func> Pool::build(KernelContext& context, const Tiling& tiling) const {
    const Group& group = context.group();
    Func out = finish_plain(context);
    const TensorType& type = group.body.type(group.body.results()[0].value);
    compute_helpers({out},
                    schedule_map(out, type, group.batch, {.task_elements = tiling.at("task")}));
    return {out};
}

}  // namespace emulsion
