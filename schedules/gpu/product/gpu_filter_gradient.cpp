// Lines, parts and the two kernels of a filter's gradient.
//
// A tiling is a block's tile (bm over output channels, bp over input channels), and
//     parts    runs of lines that are summed apart; the order of a sum follows from it
#include "schedules/gpu/product/gpu_filter_gradient.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/graph/limits.h"
#include "compiler/ops/conv2d.h"
#include "compiler/ops/dense.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/common/anchor.h"
#include "schedules/common/funcs.h"
#include "schedules/common/group_work.h"
#include "schedules/gpu/common/elements.h"
#include "schedules/gpu/product/block_product.h"
#include "schedules/gpu/product/gradient_lines.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Var;

namespace {

constexpr int kLanes = static_cast<int>(kBlock);
constexpr int kMostParts = 64;

std::vector<int64_t> sums_of_a_part(const FilterGradient& g) {
    return {kLanes, g.inputs, g.taps_w, g.taps_h, divide_up(g.outputs, kLanes)};
}

int most_parts(const FilterGradient& g, int batch) {
    return to_int(std::min({int64_t{kMostParts}, g.lines(batch), most_copies(sums_of_a_part(g))}));
}

// Blocks of a grid for each tile of channels: a tap and a part each.
int64_t copies_of(const FilterGradient& g, int batch) {
    return int64_t{g.taps()} * most_parts(g, batch);
}

int parts_of(const FilterGradient& g, const BlockTile& tile, int batch) {
    const int grid = divide_up(g.outputs, tile.bm) * divide_up(g.inputs, tile.bp) * g.taps();
    return parts_that_fill(grid, most_parts(g, batch));
}

// The sums of the parts: a grid of blocks of channels, taps and parts.
void schedule_partial(Func partial, Func acc, const BlockTile& tile) {
    const std::vector<Var> v = partial.args();  // lane, c, kx, ky, block, part
    const Var l3("l3"), lv("lv"), bo("bo"), bi("bi"), mh("mh"), b1("b1"), co("co"), ci("ci"),
        pt("pt"), pj("pj"), row("row"), thread("thread"), grid("grid"), tap("tap");
    const int per = tile.threads_m() / 4;  // blocks of 16 channels in a row of threads
    partial.split(v[0], l3, lv, 4)
        .split(v[4], bo, bi, tile.bm / kLanes, TailStrategy::GuardWithIf)
        .split(bi, mh, b1, per, TailStrategy::RoundUp)
        .split(v[1], co, ci, tile.bp, TailStrategy::GuardWithIf)
        .split(ci, pt, pj, tile.tp, TailStrategy::RoundUp)
        .reorder({lv, mh, pj, l3, b1, pt, bo, co, v[2], v[3], v[5]})
        .vectorize(lv)
        .unroll(mh)
        .unroll(pj)
        .fuse(l3, b1, row)
        .fuse(row, pt, thread)
        .gpu_threads(thread)
        .fuse(bo, co, grid)
        .fuse(v[2], v[3], tap)
        .gpu_blocks(grid, tap, v[5]);
    acc.compute_at(partial, grid)
        .store_in(Halide::MemoryType::Register)
        .bound_extent(acc.args()[0], tile.bm)
        .bound_extent(acc.args()[1], tile.bp);
}

}  // namespace

bool GpuFilterGradient::applies(const Group& group, const Isa&) const {
    const auto* conv = anchor_as<Conv2dBackwardFilter>(group);
    const bool is_gradient =
        (conv != nullptr && conv->groups == 1) || anchor_as<DenseBackwardWeights>(group) != nullptr;
    return is_gradient && has_shape_of_anchor(group, /*batched=*/false);
}

TilingSpace GpuFilterGradient::space(const Group& group, const Isa&) const {
    const FilterGradient g = filter_gradient_of(group);
    TilingSpace space = block_space(g.line());
    space.push_back({"parts", {}, 1, most_parts(g, group.batch), true});
    return space;
}

std::string GpuFilterGradient::clash(const Group&, const Tiling& tiling, const Isa& isa) const {
    const BlockTile tile = block_tile(tiling);
    if (tile.bm % tile.tm == 0 && tile.threads_m() % 4 != 0) {
        return fmt::format(
            "bm={} is no multiple of 4 times tm={}, as blocks of 16 channels ask for", tile.bm,
            tile.tm);
    }
    return block_clash(tile, isa);
}

std::vector<Tiling> GpuFilterGradient::tilings(const Group& group, const Isa& isa) const {
    const FilterGradient g = filter_gradient_of(group);
    std::vector<Tiling> tilings;
    for (const Tiling& tiles :
         block_tilings(g.outputs, g.inputs, copies_of(g, group.batch), g.piece(), isa)) {
        const BlockTile tile = block_tile(tiles);
        Tiling tiling = g.tiling(tile, parts_of(g, tile, group.batch), group.batch);
        if (tiling_fault(*this, group, tiling, isa).empty()) tilings.push_back(std::move(tiling));
    }
    return tilings;
}

double GpuFilterGradient::cost(const Group& group, const Tiling& tiling, const Isa&,
                               const Machine&) const {
    const FilterGradient g = filter_gradient_of(group);
    const double efficiency =
        block_efficiency(block_tile(tiling), g.outputs, g.inputs, copies_of(g, group.batch));
    return device_seconds(2, traffic_bytes(group) + scratch_bytes(scratch(group, tiling)),
                          static_cast<double>(group.multiply_adds()), efficiency);
}

std::vector<Scratch> GpuFilterGradient::scratch(const Group& group, const Tiling& tiling) const {
    std::vector<int64_t> extents = sums_of_a_part(filter_gradient_of(group));
    extents.push_back(tiling.at("parts"));
    return {{"partial", extents}};
}

std::vector<Func> GpuFilterGradient::build(KernelContext& context, const Tiling& tiling) const {
    const Group& group = context.group();
    const FilterGradient g = filter_gradient_of(group);
    const BlockTile tile = block_tile(tiling);
    const int parts = tiling.at("parts");
    const int run = to_int((g.lines(group.batch) + parts - 1) / parts);  // lines of a part
    const int padded_line = static_cast<int>(round_up(g.line(), tile.bk));
    const bool has_tail = padded_line != g.line();

    // Algorithm.
    const Var m("m"), c("c"), kx("kx"), ky("ky"), part("part"), i("i"), j("j"), lane("lane"),
        block("block");
    Func a("a"), b("b"), br("br"), acc("acc"), partial("partial"), merged("merged");
    const LinePlace place = g.place(i, part * run + j, context.samples(), has_tail);
    a(m, i, j, part) = g.dy(context, m, place);
    b(c, i, j, kx, ky, part) = g.x(context, c, kx, ky, place);
    br(c, i, j, kx, ky, part) = b(c, i, j, kx, ky, part);
    const RDom r(0, padded_line, 0, run, "r");
    acc(m, c, kx, ky, part) = 0.0F;
    acc(m, c, kx, ky, part) += a(m, r.x, r.y, part) * br(c, r.x, r.y, kx, ky, part);
    partial(lane, c, kx, ky, block, part) = acc(lane + kLanes * block, c, kx, ky, part);
    const std::vector<Var> vars = coordinates(group.anchor_output());
    std::vector<Expr> terms;
    for (int k = 0; k < parts; k++) {
        const Expr x = vars.size() == 5 ? Expr(vars[2]) : 0,
                   y = vars.size() == 5 ? Expr(vars[3]) : 0;
        terms.push_back(partial(vars[0], vars[1], x, y, vars.back(), k));
    }
    merged(vars) = tree_sum(terms);
    Func out = context.finish(merged);

    // Schedule.
    schedule_partial(partial, acc, tile);
    schedule_row_sum(acc, {a, b, br}, r.x, {r.y}, tile);
    schedule_elements(out, std::min(256, context.isa().block_threads), /*vectors=*/true);
    return {out, partial};
}

}  // namespace emulsion
