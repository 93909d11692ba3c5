// The two gradients of dense layers. See matmul.h for the nests.
//
// Tilings of the data gradient are
//     iw, tn      register tile: input features and samples
// and of the weight gradient
//     bo, ti      register tile: blocks of 16 output features, and input features
//     chunk       tiles of input features of one task
#include <fmt/format.h>

#include <algorithm>

#include "compiler/graph/limits.h"
#include "compiler/ops/dense.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/common/anchor.h"
#include "schedules/cpu/matmul/matmul.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Var;

namespace {

// Takes the tilings of the lowest cycles, best first.
std::vector<Tiling> best_of(std::vector<std::pair<double, Tiling>> found) {
    constexpr size_t kCount = 10;
    std::stable_sort(found.begin(), found.end(),
                     [](auto& a, auto& b) { return a.first < b.first; });
    std::vector<Tiling> tilings;
    for (size_t i = 0; i < std::min(found.size(), kCount); i++) tilings.push_back(found[i].second);
    return tilings;
}

}  // namespace

// Data gradient.

bool MatmulDataGradient::applies(const Group& group, const Isa&) const {
    if (anchor_as<DenseBackwardData>(group) == nullptr || group.has_prologue(1)) return false;
    for (const Result& result : group.body.results()) {
        const TensorType& type = group.body.type(result.value);
        if (!type.batched || type.shape != group.anchor_output().shape) return false;
    }
    return true;
}

TilingSpace MatmulDataGradient::space(const Group& group, const Isa& isa) const {
    return {{"iw", {16, 32, 48, 64}}, {"tn", {}, 1, std::min(group.batch, accumulator_limit(isa))}};
}

std::string MatmulDataGradient::clash(const Group& group, const Tiling& tiling,
                                      const Isa& isa) const {
    const int inputs = to_int(group.anchor_output().shape[0]), iw = tiling.at("iw");
    if (iw > 16 && iw > inputs) return fmt::format("iw={} for {} features", iw, inputs);
    return register_fault(isa, iw, tiling.at("tn"));
}

std::vector<Tiling> MatmulDataGradient::tilings(const Group& group, const Isa& isa) const {
    int inputs = to_int(group.anchor_output().shape[0]);
    std::vector<std::pair<double, Tiling>> found;
    for (int width : {16, 32, 48, 64}) {
        if (width > 16 && width > inputs) continue;
        for (int samples = 1; samples <= std::min(group.batch, 28); samples++) {
            if (tile_registers(isa, width, samples) > accumulator_limit(isa)) break;
            double tiles =
                divide_up(group.batch, samples) + (group.batch % samples != 0 ? 0.3 : 0.0);
            double covered = divide_up(inputs, width) * width;
            double cycles = tiles * step_cycles(isa, width, samples) / width * covered;
            found.push_back({cycles, {{{"iw", width}, {"tn", samples}}}});
        }
    }
    if (found.empty()) found.push_back({0, {{{"iw", 16}, {"tn", 1}}}});
    return best_of(std::move(found));
}

double MatmulDataGradient::cost(const Group& group, const Tiling& tiling, const Isa& isa,
                                const Machine& machine) const {
    int inputs = to_int(group.anchor_output().shape[0]),
        outputs = to_int(group.anchor_input(0).shape[0]);
    int iw = tiling.at("iw"), tn = tiling.at("tn");
    double tiles = divide_up(group.batch, tn) + (group.batch % tn != 0 ? 0.3 : 0.0);
    double transposed = 0.35 * iw;  // cycles to transpose one row of the panel
    double efficiency = 0.95 * group.batch * iw / (2.0 * isa.lanes) /
                        (tiles * step_cycles(isa, iw, tn) + transposed);
    double multiply_adds = 1.0 * group.batch * outputs * divide_up(inputs, iw) * iw;
    return roofline(machine, isa, multiply_adds, efficiency, traffic_bytes(group),
                    divide_up(inputs, iw));
}

std::vector<Func> MatmulDataGradient::build(KernelContext& context, const Tiling& tiling) const {
    const Group& group = context.group();
    const int inputs = to_int(group.anchor_output().shape[0]),
              outputs = to_int(group.anchor_input(0).shape[0]);
    const int iw = tiling.at("iw"), tn = tiling.at("tn"), blocks = divide_up(outputs, 16);
    Expr samples = context.samples();

    // Algorithm.
    Var i("i"), n("n"), k("k"), l("l"), b("b");
    Func gradient = context.operand(0);  // (k, n)
    Func weights = context.operand(1);   // (lane, i, block)
    Func staged("staged");
    staged(k, n) = gradient(k, n);
    Func source = group.has_prologue(0) ? staged : gradient;
    Func square("square");  // 16 x 16 weights, still (lane, i, block)
    square(l, i, b) = weights(l, inputs % iw != 0 ? Halide::min(i, inputs - 1) : i, b);
    Func panel("panel");  // (i, lane, block)
    panel(i, l, b) = square(l, i, b);
    RDom r(0, outputs, "r");
    Expr row = tn == 1 ? Expr(n) : Halide::min(Halide::likely(n), samples - 1);
    Func accumulator("accumulator");
    accumulator(i, n) = 0.0F;
    accumulator(i, n) += panel(i, r % 16, r / 16) * source(r, row);
    Func out = context.finish(accumulator);

    // Schedule.
    Var oi = out.args()[0], on = out.args()[1];
    Var io("io"), it("it"), ib("ib"), il("il"), no("no"), ni("ni"), ko("ko"), kl("kl");
    split_guarded(out, oi, io, it, iw, inputs);
    out.split(it, ib, il, 16, TailStrategy::RoundUp)
        .split(on, no, ni, tn, TailStrategy::GuardWithIf)
        .reorder(il, ib, ni, no, io)
        .parallel(io)
        .vectorize(il)
        .unroll(ib)
        .unroll(ni);
    accumulator.compute_at(out, no).bound_extent(i, iw).bound_extent(n, tn);
    accumulator.vectorize(i, 16).unroll(i).unroll(n);
    accumulator.update().reorder(i, n, r).vectorize(i, 16).unroll(i).unroll(n);
    panel.compute_at(out, io).bound_extent(i, iw).bound_extent(l, 16).bound_extent(b, blocks);
    panel.split(i, io, il, 16, TailStrategy::RoundUp).reorder(il, l, io, b).vectorize(il).unroll(l);
    square.compute_at(panel, io).bound_extent(i, 16).vectorize(l, 16).unroll(i);
    if (group.has_prologue(0)) {
        staged.compute_root()
            .bound_storage(n, group.batch)
            .parallel(n)
            .vectorize(k, 16, TailStrategy::GuardWithIf);
    }
    return {out};
}

// Weight gradient.

bool MatmulWeightGradient::applies(const Group& group, const Isa&) const {
    return anchor_as<DenseBackwardWeights>(group) != nullptr;
}

TilingSpace MatmulWeightGradient::space(const Group& group, const Isa& isa) const {
    const int inputs = to_int(group.anchor_input(0).shape[0]);
    const int blocks = divide_up(to_int(group.anchor_input(1).shape[0]), 16);
    return {{"bo", divisors(blocks, 4)},
            {"ti", {}, 1, std::min(inputs, accumulator_limit(isa))},
            {"chunk", {}, 1, std::min(inputs, 128)}};
}

std::string MatmulWeightGradient::clash(const Group& group, const Tiling& tiling,
                                        const Isa& isa) const {
    const int ti = tiling.at("ti"), chunk = tiling.at("chunk");
    const int tiles = divide_up(to_int(group.anchor_input(0).shape[0]), ti);
    if (chunk > tiles) return fmt::format("chunk={}, but ti={} makes {} tiles", chunk, ti, tiles);
    return register_fault(isa, 16 * tiling.at("bo"), ti);
}

std::vector<Tiling> MatmulWeightGradient::tilings(const Group& group, const Isa& isa) const {
    int inputs = to_int(group.anchor_input(0).shape[0]);
    int blocks = divide_up(to_int(group.anchor_input(1).shape[0]), 16);
    std::vector<std::pair<double, Tiling>> found;
    for (int bo : {1, 2, 4}) {
        if (blocks % bo != 0) continue;
        for (int ti = 1; ti <= std::min(inputs, 28); ti++) {
            if (tile_registers(isa, 16 * bo, ti) > accumulator_limit(isa)) break;
            int tiles = divide_up(inputs, ti);
            double cycles = tiles * step_cycles(isa, 16 * bo, ti) / bo;
            if (inputs % ti != 0) cycles *= 1.05;
            int chunk = std::clamp(divide_up(128, ti), 1, std::max(1, tiles / 8));
            found.push_back({cycles, {{{"bo", bo}, {"ti", ti}, {"chunk", chunk}}}});
        }
    }
    return best_of(std::move(found));
}

double MatmulWeightGradient::cost(const Group& group, const Tiling& tiling, const Isa& isa,
                                  const Machine& machine) const {
    int inputs = to_int(group.anchor_input(0).shape[0]);
    int blocks = divide_up(to_int(group.anchor_input(1).shape[0]), 16);
    int bo = tiling.at("bo"), ti = tiling.at("ti");
    double registers = tile_registers(isa, 16 * bo, ti);
    double cycles = step_cycles(isa, 16 * bo, ti) * group.batch + registers + 20;
    double efficiency = 0.93 * group.batch * registers / 2 / cycles;
    double multiply_adds = 1.0 * group.batch * divide_up(inputs, ti) * ti * blocks * 16;
    double tasks = divide_up(divide_up(inputs, ti), tiling.at("chunk"));
    return roofline(machine, isa, multiply_adds, efficiency, traffic_bytes(group), tasks);
}

std::vector<Func> MatmulWeightGradient::build(KernelContext& context, const Tiling& tiling) const {
    const Group& group = context.group();
    const int inputs = to_int(group.anchor_input(0).shape[0]),
              outputs = to_int(group.anchor_input(1).shape[0]);
    const int bo = tiling.at("bo"), ti = tiling.at("ti"), chunk = tiling.at("chunk");
    const int blocks = divide_up(outputs, 16);
    Expr samples = context.samples();

    // Algorithm. Padding lanes of the result are zero because those of the staged gradient are.
    Var l("l"), i("i"), b("b"), n("n");
    Func x = context.operand(0), gradient = context.operand(1);  // (i, n), (k, n)
    Func staged_x("staged_x");
    staged_x(i, n) = x(inputs % ti != 0 ? Halide::min(i, inputs - 1) : i, n);
    Func staged_dy("staged_dy");  // (lane, n, block)
    Expr k = b * 16 + l;
    staged_dy(l, n, b) =
        outputs % 16 == 0
            ? gradient(k, n)
            : Halide::select(k < outputs, gradient(Halide::min(k, outputs - 1), n), 0.0F);
    RDom r(0, samples, "r");
    Func accumulator("accumulator");  // (lane, i, block)
    accumulator(l, i, b) = 0.0F;
    accumulator(l, i, b) += staged_dy(l, r, b) * staged_x(i, r);
    Func out = context.finish(accumulator);

    // Schedule.
    Var ol = out.args()[0], oi = out.args()[1], ob = out.args()[2];
    Var io("io"), ii("ii"), task("task"), bt("bt"), bb("bb");
    split_guarded(out, oi, io, ii, ti, inputs);
    split_guarded(out, io, task, io, chunk, divide_up(inputs, ti));
    out.split(ob, bt, bb, bo, TailStrategy::RoundUp)
        .reorder(ol, bb, ii, io, bt, task)
        .parallel(task)
        .vectorize(ol, 16)
        .unroll(bb)
        .unroll(ii);
    accumulator.compute_at(out, io).bound_extent(l, 16).bound_extent(i, ti).bound_extent(b, bo);
    accumulator.vectorize(l, 16).unroll(i).unroll(b);
    accumulator.update().reorder(l, b, i, r).vectorize(l, 16).unroll(b).unroll(i);
    staged_x.compute_at(out, task).bound_storage(i, ti * chunk).bound_storage(n, group.batch);
    staged_x.vectorize(i, 16, TailStrategy::GuardWithIf);
    staged_dy.bound_storage(n, group.batch).bound_extent(l, 16).vectorize(l, 16);
    if (4.0 * group.batch * 16 * blocks > 64e3) {
        staged_dy.compute_root().parallel(b);
    } else {
        staged_dy.compute_at(out, task);
    }
    return {out};
}

}  // namespace emulsion
