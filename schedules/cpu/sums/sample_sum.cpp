// Loops over samples.
#include "schedules/cpu/sums/sample_sum.h"

#include "compiler/graph/limits.h"
#include "schedules/cpu/maps/map.h"
#include "schedules/cpu/sums/lanes.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::LoopLevel;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Tuple;
using Halide::Var;

namespace {

constexpr int kTerms = 16;

// Runs the chunks of all samples in parallel. Returns the loop over those of a task, or over the
// tasks where each is one.
Var make_tasks(Func func, const Var& chunk, const Var& n, int units) {
    const Var task("task"), unit("unit");
    func.fuse(chunk, n, task);
    if (units > 1) func.split(task, task, unit, units, TailStrategy::GuardWithIf);
    func.parallel(task);
    return units > 1 ? unit : task;
}

}  // namespace

bool is_worth_tasks(const MapShape& map, int batch) {
    return static_cast<int64_t>(map.channels) * map.positions() * batch >= kSerialElements;
}

LoopLevel schedule_samples(Func func, const SumShape& shape, const MapShape& map, int batch) {
    const Var c = func.args()[0], n = func.args().back(), outer("co"), inner("ci");
    func.split(c, outer, inner, shape.chunk,
               shape.even ? TailStrategy::RoundUp : TailStrategy::GuardWithIf);
    vectorize_chunk(func, inner, shape);
    if (!is_worth_tasks(map, batch)) return {func, outer};
    return {func, make_tasks(func, outer, n, shape.units)};
}

LoopLevel schedule_strips(Func func, const SumShape& shape, const MapShape& map, int batch) {
    const Var c = func.args()[0], strip = func.args()[2], n = func.args()[3];
    const Var outer("co"), inner("ci");
    func.split(c, outer, inner, shape.chunk,
               shape.even ? TailStrategy::RoundUp : TailStrategy::GuardWithIf);
    std::vector<Halide::VarOrRVar> order = vectorize_chunk(func, inner, shape);
    for (const Var& var : {func.args()[1], strip, outer, n}) order.emplace_back(var);
    func.reorder(order);
    if (is_worth_tasks(map, batch)) make_tasks(func, outer, n, shape.units);
    return {func, strip};
}

LoopLevel store_samples(Func func, const SumShape& shape, const MapShape& map, int batch) {
    func.compute_root();
    func.bound_storage(func.args()[0], to_int(round_up(map.channels, kLanes)));
    func.bound_storage(func.args().back(), batch);
    return schedule_samples(func, shape, map, batch);
}

Func sum_in_blocks(const std::string& name, const Expr& count, int channels,
                   const std::function<Expr(const Expr& c, const Expr& i)>& value) {
    const Var c("c"), b("b");
    RDom inside(0, kTerms, name + "_i");
    const Expr i = b * kTerms + inside;
    inside.where(i < count);
    Func block(name + "_block"), total(name);
    block(c, b) = 0.0F;
    // The clamp changes nothing: it tells Halide how far values are read.
    block(c, b) = strict_sum(block(c, b), value(c, Halide::min(i, count - 1)));
    const RDom blocks(0, (count + kTerms - 1) / kTerms, name + "_b");
    total(c) = 0.0F;
    total(c) = strict_sum(total(c), block(c, blocks));

    total.compute_root().bound_storage(c, to_int(round_up(channels, kLanes)));
    block.compute_at(total, blocks.x);
    if (channels == 1) return total;
    const TailStrategy tail =
        channels % kLanes == 0 ? TailStrategy::RoundUp : TailStrategy::GuardWithIf;
    const Var vector("cv");
    total.vectorize(c, kLanes, tail);
    total.update().split(c, c, vector, kLanes, tail).reorder(vector, blocks.x, c).vectorize(vector);
    block.bound_storage(c, kLanes).vectorize(c, kLanes, tail);
    block.update().split(c, c, vector, kLanes, tail).reorder(vector, c, inside.x).vectorize(vector);
    return total;
}

Expr padded_vector(const Expr& k, int channels, const std::function<Expr(const Expr& c)>& value) {
    if (channels % kLanes == 0) return value(k);
    return Halide::select(k < channels, value(Halide::min(k, channels - 1)), 0.0F);
}

Func finish_vector(const KernelContext& context, const Var& k, const std::vector<Expr>& values) {
    Func result("result");
    if (values.size() == 1) {
        result(k) = values[0];
    } else {
        result(k) = Tuple(values);
    }
    Func out = context.finish(result);
    out.vectorize(out.args()[0], kLanes, TailStrategy::RoundUp);
    return out;
}

}  // namespace emulsion
