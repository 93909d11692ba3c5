// Sums and maxima at indices, by columns that the indices name.
#include "schedules/cpu/maps/scatter.h"

#include "compiler/graph/limits.h"
#include "compiler/ops/deform_sample.h"
#include "compiler/ops/scatter_max.h"
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
using Halide::VarOrRVar;

namespace {

constexpr double kSerialBytes = 128e3;  // below this one thread is enough

// A map that starts alike everywhere, `inside` being its coordinates between channels and samples,
// and which an update changes along `places`.
void schedule_channels(Func map, const std::vector<VarOrRVar>& inside,
                       const std::vector<VarOrRVar>& places, bool parallel) {
    const Var c("c"), n("n"), co("co"), ci("ci"), task("task");
    const auto schedule = [&](Stage stage, const std::vector<VarOrRVar>& loops) {
        std::vector<VarOrRVar> order = {ci};
        order.insert(order.end(), loops.begin(), loops.end());
        order.emplace_back(co);
        order.emplace_back(n);
        stage.split(c, co, ci, kLanes, TailStrategy::GuardWithIf)
            .vectorize(ci)
            .reorder(order)
            .fuse(co, n, task);
        if (parallel) stage.parallel(task);
    };
    schedule(map, inside);
    schedule(map.update(), places);
}

// y: (c, x, n)
Func of_each_sample(const KernelContext& context, const ScatterSum& op, bool parallel) {
    const Group& group = context.group();
    const Func values = context.operand(0);
    const Var c("c"), x("x"), n("n");
    const RDom r(0, to_int(places_of(group.anchor_input(1))), "r");
    const Column column =
        column_at(context.operand(1), group.anchor_input(1), op, op.columns, r, n);
    Func y("y");
    y(c, x, n) = 0.0F;
    y(c, column.at, n) =
        Strict(y(c, column.at, n)) + choose(column.counts, Expr(values(c, r, n)), 0.0F);
    schedule_channels(y, {x}, {r}, parallel);
    return y;
}

// Both results (c, x, n), of which the winners are found first.
std::vector<Func> largest(const KernelContext& context, const ScatterMax& op, bool parallel) {
    const Group& group = context.group();
    const Func values = context.operand(0);
    const int places = to_int(places_of(group.anchor_input(1)));
    const Var c("c"), x("x"), n("n");
    const RDom r(0, places, "r");
    const Column column =
        column_at(context.operand(1), group.anchor_input(1), op, op.columns, r, n);
    Func best("best");
    best(c, x, n) = -1;
    const Expr before = Halide::clamp(best(c, column.at, n), -1, places - 1);
    best(c, column.at, n) =
        Halide::select(column.counts && wins(values, c, r, before, n), Expr(r), before);
    schedule_channels(best, {x}, {r}, parallel);
    best.compute_root()
        .bound_storage(c, to_int(group.anchor_input(0).shape[0]))
        .bound_storage(x, to_int(op.columns))
        .bound_storage(n, group.batch);
    const std::vector<Func> both = largest_of(values, best, places, "y");
    std::vector<Func> results;
    for (const Result& result : group.body.results()) {
        results.push_back(both[static_cast<size_t>(result.value.output)]);
        schedule_map(results.back(), group.body.type(result.value), group.batch);
    }
    return results;
}

// y: (c, x, y, n); a place adds to the four cells around it.
Func of_places(const KernelContext& context, const DeformSampleBackwardData& op, bool parallel) {
    const Group& group = context.group();
    const Func values = context.operand(0);
    const std::vector<int64_t>& from = group.anchor_input(0).shape;
    const int height = to_int(op.input[0]), width = to_int(op.input[1]);
    const Var c("c"), x("x"), y("y"), n("n");
    const RDom r(0, 4, 0, to_int(from[2]), 0, to_int(from[1]), "r");
    const DeformPlace place =
        deform_place(op, context.operand(1), op.input[0], op.input[1], r.y, r.z, n);
    const Expr a = r.x / 2, b = r.x % 2, row = place.y + a, column = place.x + b;
    const Expr inside = row >= 0 && row < height && column >= 0 && column < width;
    const Strict down = choose(a == 0, Strict(1.0F) - Strict(place.down), place.down);
    const Strict right = choose(b == 0, Strict(1.0F) - Strict(place.right), place.right);
    const Expr at_x = Halide::clamp(column, 0, width - 1), at_y = Halide::clamp(row, 0, height - 1);
    const Strict term = down * right * Strict(Expr(values(c, r.y, r.z, n)));
    Func dx("dx");
    dx(c, x, y, n) = 0.0F;
    dx(c, at_x, at_y, n) = Strict(dx(c, at_x, at_y, n)) + choose(inside, term, 0.0F);
    schedule_channels(dx, {x, y}, {r.x, r.y, r.z}, parallel);
    return dx;
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

bool Scatter::applies(const Group& group, const Isa&) const {
    if (group.has_epilogue()) return false;
    if (anchor_as<ScatterMax>(group) != nullptr) return group.stored_prologues().empty();
    const bool is_sum = anchor_as<ScatterSum>(group) != nullptr ||
                        anchor_as<DeformSampleBackwardData>(group) != nullptr;
    return is_sum && group.body.results().size() == 1;
}

double Scatter::cost(const Group& group, const Tiling&, const Isa&, const Machine& machine) const {
    return 1e-6 + 2 * traffic_bytes(group) / (machine.bandwidth_gbs * 1e9);
}

std::vector<Func> Scatter::build(KernelContext& context, const Tiling&) const {
    const Group& group = context.group();
    const bool parallel = traffic_bytes(group) > kSerialBytes;
    if (const auto* places = anchor_as<DeformSampleBackwardData>(group))
        return {of_places(context, *places, parallel)};
    if (const auto* most = anchor_as<ScatterMax>(group)) return largest(context, *most, parallel);
    const auto& op = *anchor_as<ScatterSum>(group);
    return {op.sum_samples ? of_all_samples(context, op, parallel)
                           : of_each_sample(context, op, parallel)};
}

}  // namespace emulsion
