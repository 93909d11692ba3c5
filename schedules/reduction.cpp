// Reductions: what is summed for each kind, and in which loops.
#include "schedules/reduction.h"

#include "compiler/ops/moments.h"
#include "compiler/ops/strict.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/map.h"
#include "schedules/pointwise.h"
#include "schedules/reduce_nest.h"
#include "schedules/sample_sum.h"
#include "schedules/tiling.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::LoopLevel;
using Halide::RDom;
using Halide::Tuple;
using Halide::Var;

namespace {

// partial_moments: mean and squares of each block, the block being read twice while it is in the cache, then Chan's
// formula for blocks of equal size.
Func build_moments(const KernelContext& context) {
    const Group& group = context.group();
    const MapShape map(group.anchor_input(0));
    const SumShape shape(map);
    const Func x = context.operand(0);
    const Strict block_size(static_cast<float>(shape.rows * map.width));
    const Var c("c"), b("b"), n("n");

    const PositionSum sums("sum", map, shape, [&](const Expr& k, const Expr& i, const Expr& y, const Expr&,
                                                  const Expr& s) { return std::vector<Expr>{x(map.at(k, i, y, s))}; });
    Func block_mean("block_mean");
    block_mean(c, b, n) = Strict(sums.block(0, c, b, n)) / block_size;
    PositionSum squares("squares", map, shape,
                        [&](const Expr& k, const Expr& i, const Expr& y, const Expr& block, const Expr& s) {
                            const Strict d = Strict(x(map.at(k, i, y, s))) - Strict(block_mean(k, block, s));
                            return std::vector<Expr>{d * d};
                        });
    Func parts("parts");  // (c, b, n): mean and m2 of block b
    parts(c, b, n) = Tuple(block_mean(c, b, n), squares.block(0, c, b, n));

    const RDom r(0, shape.blocks, "r");
    const Strict first(parts(c, 0, n)[0]);
    Func drift("drift"), mean("mean"), m2("m2");
    drift(c, n) = 0.0F;
    drift(c, n) = Strict(drift(c, n)) + (Strict(parts(c, r, n)[0]) - first);
    mean(c, n) = first + Strict(drift(c, n)) / Strict(static_cast<float>(shape.blocks));
    const Strict apart = Strict(parts(c, r, n)[0]) - Strict(mean(c, n));
    m2(c, n) = 0.0F;
    m2(c, n) = Strict(m2(c, n)) + (Strict(parts(c, r, n)[1]) + block_size * (apart * apart));

    Func result("result");
    result(c, n) = Tuple(mean(c, n), m2(c, n));
    Func out = context.finish(result);
    compute_factors_once({out});
    const LoopLevel level = schedule_samples(out, shape, map, group.batch);
    for (const Func& func : {parts, drift, mean, m2}) compute_chunk_at(func, level, shape);
    const LoopLevel inside(parts, b);
    PositionSum first_pass = sums;
    first_pass.compute_at(inside);
    compute_chunk_at(block_mean, inside, shape);
    squares.compute_at(inside);
    return out;
}

// partial_dots: sum of dy and of dy * (x - mean).
Func build_dots(const KernelContext& context) {
    const Group& group = context.group();
    const MapShape map(group.anchor_input(1));
    const SumShape shape(map);
    const Func dy = context.operand(0), x = context.operand(1), mean = context.operand(2);
    PositionSum sums("dots", map, shape, [&](const Expr& c, const Expr& i, const Expr& y, const Expr&, const Expr& n) {
        const Strict g(dy(map.at(c, i, y, n)));
        return std::vector<Expr>{g, g * (Strict(x(map.at(c, i, y, n))) - Strict(mean(c)))};
    });
    const Func total = sum_blocks("total", sums, 2, shape);
    const Var c("c"), n("n");
    Func result("result");
    result(c, n) = Tuple(total(c, n)[0], total(c, n)[1]);
    Func out = context.finish(result);
    compute_factors_once({out});
    compute_chunk_at(total, schedule_samples(out, shape, map, group.batch), shape);
    sums.compute_at(LoopLevel(total, Halide::RVar(total.rvars()[0].name())));
    return out;
}

// merge_moments: Chan's formula over the samples, in two passes over their small table.
Func build_merge(const KernelContext& context, const MergeMoments& op) {
    const int channels = static_cast<int>(context.group().anchor_input(0).shape[0]);
    const Func means = context.operand(0), m2 = context.operand(1);
    const Strict samples(Halide::cast<float>(context.samples())), count(static_cast<float>(op.count));
    const Var c("c"), k("k");
    Func mean("mean");
    // Around the first sample's mean, so that a large common mean keeps its digits.
    const Func drift = sum_samples("drift", context, channels, [&](const Expr& i, const Expr& n) {
        return Expr(Strict(means(i, n)) - Strict(means(i, 0)));
    });
    mean(c) = Strict(means(c, 0)) + Strict(drift(c)) / samples;
    vectorize_first(mean.compute_root(), channels);
    const Func squares = sum_samples("squares", context, channels, [&](const Expr& i, const Expr& n) {
        const Strict apart = Strict(means(i, n)) - Strict(mean(i));
        return Expr(Strict(m2(i, n)) + count * (apart * apart));
    });
    const Expr variance = padded_vector(
        k, channels, [&](const Expr& i) { return Expr(Strict(squares(i)) / (samples * count)); });
    return finish_vector(context, k, {padded_vector(k, channels, [&](const Expr& i) { return mean(i); }), variance});
}

}  // namespace

bool Reduction::applies(const Group& group, const Isa&) const {
    if (group.anchor < 0 || !has_one_shape(group)) return false;
    const TensorType& result = group.body.type(group.body.results()[0].value);
    const std::string_view kind = group.anchor_node().op->kind();
    if (result.shape != group.anchor_output().shape || !group.anchor_input(0).batched) return false;
    return kind == "reduce" || kind == "partial_moments" || kind == "partial_dots" || kind == "merge_moments";
}

std::vector<Tiling> Reduction::tilings(const Group&, const Isa&) const { return {{}}; }

double Reduction::cost(const Group& group, const Tiling&, const Isa&, const Machine& machine) const {
    return 1e-6 + traffic_bytes(group) / (machine.bandwidth_gbs * 1e9);
}

std::vector<Func> Reduction::build(KernelContext& context, const Tiling&) const {
    const Op& op = *context.group().anchor_node().op;
    if (const auto* reduce = dynamic_cast<const Reduce*>(&op)) return {ReduceNest(context, *reduce).build()};
    if (const auto* merge = dynamic_cast<const MergeMoments*>(&op)) return {build_merge(context, *merge)};
    return {op.kind() == "partial_moments" ? build_moments(context) : build_dots(context)};
}

}  // namespace emulsion
