// Dense layers, forward. See matmul.h for the nest.
//
// A tiling is
//     kw, tn   register tile: output features and samples
//     chains   sums side by side over i mod chains, added as a tree at the end
#include "schedules/cpu/matmul/matmul.h"

#include <algorithm>

#include "compiler/graph/limits.h"
#include "compiler/ops/dense.h"
#include "compiler/ops/strict.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/common/anchor.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Var;

namespace {

struct DenseShape {
    int inputs = 0, outputs = 0;
    int blocks() const { return divide_up(outputs, 16); }
};

DenseShape dense_shape(const Group& group) {
    const std::vector<int64_t>& w = group.anchor_input(1).shape;
    return {to_int(w[1]), to_int(w[0])};
}

// Every result is one feature axis as long as the anchor's.
bool results_are_rows(const Group& group) {
    for (const Result& result : group.body.results()) {
        const TensorType& type = group.body.type(result.value);
        if (!type.batched || type.shape.size() != 1 || type.shape != group.anchor_output().shape)
            return false;
    }
    return true;
}

// Sums side by side over i: small batches need them to fill the multiply-adders. The order of a sum
// follows from it, so it depends on neither the instruction set nor the register tile.
int chains_of(int batch, int inputs) {
    int chains = batch >= 8 ? 1 : batch >= 4 ? 2 : batch >= 2 ? 4 : 8;
    while (chains > 1 && inputs < 4 * chains) chains /= 2;
    return chains;
}

// Cycles of all tiles of a batch for one channel and one i. A last tile that is not full costs as
// much as a full one and reads its rows by separate addresses.
double tile_cycles(const Isa& isa, int channels, int samples, int batch, int chains) {
    double step = step_cycles(isa, channels, samples * chains) / chains;
    return (divide_up(batch, samples) + (batch % samples != 0 ? 0.3 : 0.0)) * step / channels;
}

}  // namespace

bool Matmul::applies(const Group& group, const Isa&) const {
    return anchor_as<Dense>(group) != nullptr && !group.has_prologue(1) && results_are_rows(group);
}

TilingSpace Matmul::space(const Group& group, const Isa& isa) const {
    const DenseShape s = dense_shape(group);
    return {{"kw", tile_channels(isa, s.blocks(), 4)},
            {"tn", {}, 1, std::min(group.batch, accumulator_limit(isa))},
            {"chains", {}, 1, std::min(s.inputs, 8), true}};
}

std::string Matmul::clash(const Group&, const Tiling& tiling, const Isa& isa) const {
    return register_fault(isa, tiling.at("kw"), tiling.at("tn") * tiling.at("chains"));
}

std::vector<Tiling> Matmul::tilings(const Group& group, const Isa& isa) const {
    DenseShape s = dense_shape(group);
    const int chains = chains_of(group.batch, s.inputs);
    std::vector<std::pair<double, Tiling>> found;
    for (int channels : {32, 16, 64, 48, 8, 4}) {
        if (channels < 16 ? isa.lanes > channels : s.blocks() % (channels / 16) != 0) continue;
        for (int samples = 1; samples <= std::min(group.batch, 28); samples++) {
            if (tile_registers(isa, channels, samples * chains) > accumulator_limit(isa)) break;
            double cycles = tile_cycles(isa, channels, samples, group.batch, chains);
            int panels = divide_up(s.outputs, channels);
            if (panels < 8 && channels > 16) cycles *= 1.15;  // too few tasks
            found.push_back({cycles, {{{"kw", channels}, {"tn", samples}, {"chains", chains}}}});
        }
    }
    std::stable_sort(found.begin(), found.end(),
                     [](auto& a, auto& b) { return a.first < b.first; });
    std::vector<Tiling> tilings;
    for (size_t i = 0; i < std::min<size_t>(found.size(), 12); i++)
        tilings.push_back(found[i].second);
    return tilings;
}

double Matmul::cost(const Group& group, const Tiling& tiling, const Isa& isa,
                    const Machine& machine) const {
    DenseShape s = dense_shape(group);
    int kw = tiling.at("kw");
    double cycles = tile_cycles(isa, kw, tiling.at("tn"), group.batch, tiling.at("chains"));
    double efficiency = 0.95 * group.batch / (2.0 * isa.lanes) / cycles;
    double multiply_adds = 1.0 * group.batch * s.inputs * s.blocks() * 16;
    return roofline(machine, isa, multiply_adds, efficiency, traffic_bytes(group),
                    divide_up(s.outputs, kw));
}

std::vector<Func> Matmul::build(KernelContext& context, const Tiling& tiling) const {
    const Group& group = context.group();
    const DenseShape s = dense_shape(group);
    const int kw = tiling.at("kw"), tn = tiling.at("tn"), chains = tiling.at("chains"),
              vector = std::min(kw, 16);
    Expr samples = context.samples();

    // Algorithm. Rows of a tile beyond the last sample repeat it and are not stored.
    Var k("k"), n("n"), i("i"), chain("chain");
    Func x = context.operand(0);        // (i, n)
    Func weights = context.operand(1);  // (lane, i, block)
    Func staged("staged");
    staged(i, n) = x(i, n);
    Func source = group.has_prologue(0) ? staged : x;
    Expr row = tn == 1 ? Expr(n) : Halide::min(Halide::likely(n), samples - 1);
    const int steps = s.inputs / chains, rest = s.inputs % chains;
    RDom r(0, steps, "r");
    Func accumulator("accumulator");
    accumulator(k, n, chain) = 0.0F;
    Expr at_i = chains == 1 ? Expr(r) : r * chains + chain;
    accumulator(k, n, chain) += weights(k % 16, at_i, k / 16) * source(at_i, row);
    RDom q(0, std::max(rest, 1), "q");
    if (rest > 0) {
        // Rounded as written: outside a loop, LLVM fuses some lanes of a multiply-add and not
        // others.
        Expr last = q + steps * chains;
        accumulator(k, n, 0) = Strict(accumulator(k, n, 0)) +
                               Strict(weights(k % 16, last, k / 16)) * Strict(source(last, row));
    }
    Func total("total");
    std::vector<Expr> terms;
    for (int c = 0; c < chains; c++) terms.push_back(accumulator(k, n, c));
    total(k, n) = tree_sum(terms);
    Func out = context.finish(total);

    // Schedule.
    Var ok = out.args()[0], on = out.args()[1];
    Var ko("ko"), kt("kt"), kb("kb"), kl("kl"), no("no"), ni("ni");
    split_guarded(out, ok, ko, kt, kw, s.outputs);
    out.split(kt, kb, kl, vector, TailStrategy::RoundUp)
        .split(on, no, ni, tn, TailStrategy::GuardWithIf)
        .reorder(kl, kb, ni, no, ko)
        .parallel(ko)
        .vectorize(kl)
        .unroll(kb)
        .unroll(ni);
    accumulator.compute_at(out, no).bound_extent(k, kw).bound_extent(n, tn).bound_extent(chain,
                                                                                         chains);
    accumulator.vectorize(k, vector).unroll(k).unroll(n).unroll(chain);
    accumulator.update(0)
        .reorder(k, n, chain, r)
        .vectorize(k, vector)
        .unroll(k)
        .unroll(n)
        .unroll(chain);
    if (rest > 0) accumulator.update(1).reorder(k, n, q).vectorize(k, vector).unroll(k).unroll(n);
    if (group.has_prologue(0)) {
        staged.compute_root()
            .bound_storage(n, group.batch)
            .parallel(n)
            .vectorize(i, 16, TailStrategy::GuardWithIf);
    }
    return {out};
}

}  // namespace emulsion
