// Sums at indices, by columns that the indices name.
#include "schedules/cpu/maps/scatter.h"

#include "compiler/graph/limits.h"
#include "compiler/ops/scatter_sum.h"
#include "compiler/ops/strict.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/common/anchor.h"
#include "schedules/common/group_work.h"
#include "schedules/cpu/maps/map.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Stage;
using Halide::TailStrategy;
using Halide::Var;

namespace {

constexpr double kSerialBytes = 128e3;  // below this one thread is enough

// y: (c, x, n)
Func of_each_sample(const KernelContext& context, const ScatterSum& op, bool parallel) {
    const Group& group = context.group();
    const Func values = context.operand(0);
    const Var c("c"), x("x"), n("n"), co("co"), ci("ci"), task("task");
    const RDom r(0, to_int(places_of(group.anchor_input(1))), "r");
    const Column column =
        column_at(context.operand(1), group.anchor_input(1), op, op.columns, r, n);
    Func y("y");
    y(c, x, n) = 0.0F;
    y(c, column.at, n) =
        Strict(y(c, column.at, n)) + choose(column.counts, Expr(values(c, r, n)), 0.0F);
    const auto tasks = [&](Stage stage) {
        stage.fuse(co, n, task);
        if (parallel) stage.parallel(task);
    };
    y.split(c, co, ci, kLanes, TailStrategy::GuardWithIf).vectorize(ci).reorder(ci, x, co, n);
    tasks(y);
    y.update()
        .split(c, co, ci, kLanes, TailStrategy::GuardWithIf)
        .vectorize(ci)
        .reorder(ci, r, co, n);
    tasks(y.update());
    return y;
}

// y: (lane, i, k)
Func of_all_samples(const KernelContext& context, const ScatterSum& op, bool parallel) {
    const Group& group = context.group();
    const Func values = context.operand(0);
    const int channels = to_int(group.anchor_input(0).shape[0]);
    const Var lane("lane"), i("i"), k("k");
    const RDom r(0, to_int(places_of(group.anchor_input(1))), 0, context.samples(), "r");
    const Column column =
        column_at(context.operand(1), group.anchor_input(1), op, op.columns, r.x, r.y);
    const Expr c = k * kLanes + lane;
    const Expr value = values(Halide::min(c, channels - 1), r.x, r.y);
    Func y("y");
    y(lane, i, k) = 0.0F;
    y(lane, column.at, k) =
        Strict(y(lane, column.at, k)) + choose(c < channels && column.counts, value, 0.0F);
    y.vectorize(lane);
    y.update().vectorize(lane).reorder(lane, r.x, r.y, k);
    if (parallel) {
        y.parallel(k);
        y.update().parallel(k);
    }
    return y;
}

}  // namespace

bool Scatter::applies(const Group& group, const Isa& isa) const {
    return !isa.is_device() && anchor_as<ScatterSum>(group) != nullptr && !group.has_epilogue() &&
           group.body.results().size() == 1;
}

double Scatter::cost(const Group& group, const Tiling&, const Isa&, const Machine& machine) const {
    return 1e-6 + 2 * traffic_bytes(group) / (machine.bandwidth_gbs * 1e9);
}

std::vector<Func> Scatter::build(KernelContext& context, const Tiling&) const {
    const auto& op = *anchor_as<ScatterSum>(context.group());
    const bool parallel = traffic_bytes(context.group()) > kSerialBytes;
    return {op.sum_samples ? of_all_samples(context, op, parallel)
                           : of_each_sample(context, op, parallel)};
}

}  // namespace emulsion
