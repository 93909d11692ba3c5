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
#include "compiler/ops/window_lowering.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/common/anchor.h"
#include "schedules/common/funcs.h"
#include "schedules/common/group_work.h"
#include "schedules/gpu/common/elements.h"
#include "schedules/gpu/product/block_product.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Var;

namespace {

constexpr int kLanes = static_cast<int>(kBlock);
constexpr int kShortRow = 7;        // shorter rows are cut into lines without regard to them
constexpr int kLine = 16;           // positions of such a line
constexpr int kLongRow = 14;        // of shorter ones, several are a line
constexpr int kShortRows = 28;      // positions of them, at most
constexpr int kPiece = 16;          // of a line, staged at once, at most
constexpr int kWantedBlocks = 256;  // of a grid
constexpr int kMostParts = 64;

// The gradient of a filter, or of dense weights: one tap, one position a sample.
struct Gradient {
    int outputs = 0, inputs = 0, taps_w = 1, taps_h = 1;
    int width = 1, height = 1;  // of dy
    bool has_rows() const { return width >= kShortRow; }
    int rows() const { return width < kLongRow ? kShortRows / width : 1; }  // of a line
    int line() const { return has_rows() ? width * rows() : kLine; }
    int64_t lines(int samples) const {
        if (has_rows()) return (int64_t{samples} * height + rows() - 1) / rows();
        return (int64_t{samples} * width * height + kLine - 1) / kLine;
    }
    // A piece of a line that leaves nothing over: all of it where it is several rows.
    int piece() const {
        if (rows() > 1 && has_rows()) return line();
        int piece = 1;
        for (int value = 2; value <= kPiece; value++)
            if (line() % value == 0) piece = value;
        return piece < 8 ? kPiece : piece;
    }
    int blocks() const { return divide_up(outputs, kLanes); }
    // Blocks of a grid for each tile of channels: a tap and a part each.
    int64_t copies(int samples) const {
        return int64_t{taps_w} * taps_h * std::min<int64_t>(kMostParts, lines(samples));
    }
};

Gradient gradient_of(const Group& group) {
    const std::vector<int64_t>& x = group.anchor_input(0).shape;
    const std::vector<int64_t>& dy = group.anchor_input(1).shape;
    Gradient g;
    g.outputs = to_int(dy[0]);
    g.inputs = to_int(x[0]);
    if (const auto* conv = anchor_as<Conv2dBackwardFilter>(group)) {
        g.taps_h = to_int(conv->kernel[0]);
        g.taps_w = to_int(conv->kernel[1]);
        g.height = to_int(dy[1]);
        g.width = to_int(dy[2]);
    }
    return g;
}

int parts_of(const Gradient& g, const BlockTile& tile, int batch) {
    const int grid =
        divide_up(g.outputs, tile.bm) * divide_up(g.inputs, tile.bp) * g.taps_w * g.taps_h;
    const int64_t most = std::min<int64_t>(kMostParts, g.lines(batch));
    int parts = 1;
    while (2 * parts <= most && grid * parts < kWantedBlocks) parts *= 2;
    return parts;
}

// A place of the reduction: position i of line j, as coordinates of dy and whether it is there.
struct Place {
    Expr x, y, n, is_there;
};

Place place_of(const Gradient& g, const Expr& i, const Expr& line, const Expr& samples,
               bool has_tail) {
    if (g.has_rows()) {
        const Expr in_line = has_tail ? Halide::min(i, g.line() - 1) : i;
        const Expr row = line * g.rows() + in_line / g.width, rows = samples * g.height;
        const Expr is_there = has_tail ? row < rows && i < g.line() : row < rows;
        const Expr safe = Halide::min(row, rows - 1);
        return {in_line % g.width, safe % g.height, safe / g.height, is_there};
    }
    const int area = g.width * g.height;
    const Expr position = line * kLine + i, is_there = position < samples * area;
    const Expr p = Halide::min(position, samples * area - 1);
    return {p % g.width, p / g.width % g.height, p / area, is_there};
}

// dy(o, ·), zero where there is none.
Expr read_dy(const KernelContext& context, const Gradient& g, const Expr& o, const Place& at) {
    const Func dy = context.operand(1);
    const bool fits = g.outputs % kLanes == 0;
    const Expr channel = channel_in(o, g.outputs);
    const Expr is_there = fits ? at.is_there : at.is_there && o < g.outputs;
    const bool is_map = context.group().anchor_input(1).shape.size() == 3;
    return value_or_zero(is_there, is_map ? dy(channel, at.x, at.y, at.n) : dy(channel, at.n));
}

// x(i, ·) under a tap of that position, zero in the border. What is not there is zero in dy.
Expr read_x(const KernelContext& context, const Gradient& g, const Expr& c, const Expr& kx,
            const Expr& ky, const Place& at) {
    const Func x = context.operand(0);
    const Expr channel = channel_in(c, g.inputs);
    const auto* conv = anchor_as<Conv2dBackwardFilter>(context.group());
    if (conv == nullptr) return x(channel, at.n);
    const std::vector<int64_t>& shape = context.group().anchor_input(0).shape;
    const Window window = conv->window(conv->kernel[0], conv->kernel[1]);
    const Position px = tap_position(window, 1, shape[2], at.x, kx);
    const Position py = tap_position(window, 0, shape[1], at.y, ky);
    return value_or_zero(px.inside && py.inside, x(channel, px.at, py.at, at.n));
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
    const Gradient g = gradient_of(group);
    TilingSpace space = block_space(g.line());
    const int most = to_int(std::min<int64_t>(kMostParts, g.lines(group.batch)));
    space.push_back({"parts", {}, 1, most, true});
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
    const Gradient g = gradient_of(group);
    std::vector<Tiling> tilings;
    for (const Tiling& tiles :
         block_tilings(g.outputs, g.inputs, g.copies(group.batch), g.piece(), isa)) {
        BlockTile tile = block_tile(tiles);
        const int parts = parts_of(g, tile, group.batch);
        // A reduction of one piece would be no loop: ptxas then loads all of it at once, and
        // spills.
        if (parts == g.lines(group.batch) && tile.bk >= g.line() && tile.bk % 2 == 0) tile.bk /= 2;
        Tiling tiling = to_tiling(tile);
        tiling.values.emplace_back("parts", parts);
        if (tiling_fault(*this, group, tiling, isa).empty()) tilings.push_back(std::move(tiling));
    }
    return tilings;
}

double GpuFilterGradient::cost(const Group& group, const Tiling& tiling, const Isa&,
                               const Machine&) const {
    const Gradient g = gradient_of(group);
    const double efficiency =
        block_efficiency(block_tile(tiling), g.outputs, g.inputs, g.copies(group.batch));
    const double partial = 2 * 4.0 * static_cast<double>(scratch(group, tiling)[0].elements());
    return device_seconds(2, traffic_bytes(group) + partial,
                          static_cast<double>(group.multiply_adds()), efficiency);
}

std::vector<Scratch> GpuFilterGradient::scratch(const Group& group, const Tiling& tiling) const {
    const Gradient g = gradient_of(group);
    return {{"partial", {kLanes, g.inputs, g.taps_w, g.taps_h, g.blocks(), tiling.at("parts")}}};
}

std::vector<Func> GpuFilterGradient::build(KernelContext& context, const Tiling& tiling) const {
    const Group& group = context.group();
    const Gradient g = gradient_of(group);
    const BlockTile tile = block_tile(tiling);
    const int parts = tiling.at("parts");
    const int run = to_int((g.lines(group.batch) + parts - 1) / parts);  // lines of a part
    const int padded_line = static_cast<int>(round_up(g.line(), tile.bk));
    const bool has_tail = padded_line != g.line();

    // Algorithm.
    const Var m("m"), c("c"), kx("kx"), ky("ky"), part("part"), i("i"), j("j"), lane("lane"),
        block("block");
    Func a("a"), b("b"), br("br"), acc("acc"), partial("partial"), merged("merged");
    const Place place = place_of(g, i, part * run + j, context.samples(), has_tail);
    a(m, i, j, part) = read_dy(context, g, m, place);
    b(c, i, j, kx, ky, part) = read_x(context, g, c, kx, ky, place);
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
