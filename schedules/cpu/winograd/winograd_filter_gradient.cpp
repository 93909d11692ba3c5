// Winograd filter gradient over p x p points, p = 6 or 4.
//
//     parallel part                    fixed partitions: blocks part, part + parts, …
//       block of TB tiles, numbered over all samples
//         copies of the operands, prologues applied, with borders of zeros
//         V[p][p][t][C], Z[p][p][t][K] B^T d B of the input, A dy A^T of the gradient
//         points, K/kb, C/tc           registers kb x tc, sum over the block's tiles
//           D[part][p][p][C][K] += registers; few channels: a part of the next block is asked for
//     dw = G^T (sum over parts of D, a fixed tree) G
//
// Tiles beyond the samples contribute Z = 0. Partitions and blocks follow from shape and compiled
// batch alone, so bits depend neither on threads nor on the instruction set.
#include "schedules/cpu/winograd/winograd_filter_gradient.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/ops/strict.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/common/winograd_transforms.h"
#include "schedules/cpu/common/prefetch.h"
#include "schedules/cpu/common/tiling.h"
#include "schedules/cpu/winograd/winograd_gradient_parts.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Var;

namespace {

constexpr int kVector = 16;
constexpr int kMostParts = 16, kFewestParts = 4;
// Bytes of the partial sums of 16 parts, of 8 (32 x 64 channels: the planned threads are worth
// more), and of one (128 x 128 channels).
constexpr double kPartialLimit = 2e6, kEightPartsLimit = 2.4e6;
constexpr double kPartLimit = 2.4e6;
constexpr int kSmallestBlock = 8, kLargestBlock = 128;  // tiles
constexpr double kBlockBytes = 676 << 10;               // V and Z of a block
constexpr int kBlockOverhead = 9;  // tiles that reading and writing the partial sums costs

// Few where partial sums are large: each is cleared, updated block by block and read back.
int partitions(const WinogradGradientShape& s, int batch) {
    int most = kMostParts;
    if (most * s.sum_bytes() > kPartialLimit) most = kPlannedThreads;
    if (most * s.sum_bytes() > kEightPartsLimit) most = kFewestParts;
    return std::clamp(divide_up(s.tiles() * batch, kSmallestBlock), 1, most);
}

// Bytes of V and Z for a tile.
double tile_bytes(const WinogradGradientShape& s) {
    return 4.0 * s.points * s.points * (s.conv.channels + s.conv.out_channels);
}

// Whether operands are copied for a block of whole rows of tiles. The copy reads memory in order,
// evaluates a prologue once for each position of x instead of 2.25 times, and its select
// stands outside the transform.
bool is_staged(const WinogradGradientShape& s) {
    return s.columns <= kLargestBlock && s.columns * tile_bytes(s) <= 2 * kBlockBytes;
}

// Whether a block's products ask for the operands of the next one.
bool asks_ahead(const WinogradGradientShape& s, int batch) {
    const double bytes = 2.0 * s.conv.out_height * s.conv.out_width * batch *
                         (s.conv.channels + s.conv.out_channels);
    return is_staged(s) && reads_ahead(s.conv.channels, s.conv.out_channels, bytes);
}

// Tiles of a block: V and Z fill at most two thirds of the second cache, one third where the next
// operands come meanwhile; where operands are copied the rows of tiles are whole. Of these sizes
// the one whose blocks cover a partition with the least work, padding included.
int block_tiles(const WinogradGradientShape& s, int batch) {
    const double bytes = asks_ahead(s, batch) ? kBlockBytes / 2 : kBlockBytes;
    const int most =
        std::clamp(static_cast<int>(bytes / tile_bytes(s)), kSmallestBlock, kLargestBlock);
    const int share = divide_up(s.tiles() * batch, partitions(s, batch));
    const int step = is_staged(s) ? s.columns : 1;
    auto work = [&](int tiles) { return divide_up(share, tiles) * (tiles + kBlockOverhead); };
    int best = step;
    for (int tiles = step; tiles <= std::min(most, divide_up(share, step) * step); tiles += step)
        if (work(tiles) <= work(best)) best = tiles;
    return best;
}

}  // namespace

bool WinogradFilterGradient::applies(const Group& group, const Isa& isa) const {
    return has_winograd_gradient(group, isa) &&
           WinogradGradientShape(group).sum_bytes() <= kPartLimit;
}

TilingSpace WinogradFilterGradient::space(const Group&, const Isa&) const {
    return {{"kb", {16, 32}},
            {"tc", {4, 6, 8, 16}},
            {"tb", {}, 1, kLargestBlock, true},
            {"parts", {}, 1, kMostParts, true}};
}

std::string WinogradFilterGradient::clash(const Group& group, const Tiling& tiling,
                                          const Isa& isa) const {
    const WinogradGradientShape s(group);
    const int kb = tiling.at("kb"), tc = tiling.at("tc"), tb = tiling.at("tb");
    if (s.conv.out_channels % kb != 0 || s.conv.channels % tc != 0) {
        return fmt::format("kb={} and tc={} do not divide {} and {} channels", kb, tc,
                           s.conv.out_channels, s.conv.channels);
    }
    if (is_staged(s) && tb % s.columns != 0)
        return fmt::format("tb={}, but copies are of whole rows of {} tiles", tb, s.columns);
    return register_fault(isa, kb, tc);
}

std::vector<Tiling> WinogradFilterGradient::tilings(const Group& group, const Isa& isa) const {
    const WinogradGradientShape s(group);
    std::vector<Tiling> tilings;
    for (auto [kb, tc] : {std::pair{32, 8}, {16, 16}, {16, 8}, {16, 6}, {16, 4}}) {
        if (s.conv.out_channels % kb != 0 || s.conv.channels % tc != 0) continue;
        if (tile_registers(isa, kb, tc) > accumulator_limit(isa)) continue;
        tilings.push_back({{{"kb", kb},
                            {"tc", tc},
                            {"tb", block_tiles(s, group.batch)},
                            {"parts", partitions(s, group.batch)}}});
    }
    EMU_CHECK(!tilings.empty(), "no register tile for {}", isa.name);
    return tilings;
}

double WinogradFilterGradient::relative_error(const Group& group) const {
    return WinogradGradientShape(group).points == 4 ? 1e-6 : 1e-5;
}

double WinogradFilterGradient::multiply_adds(const Group& group) const {
    return WinogradGradientShape(group).products() * group.batch;
}

double WinogradFilterGradient::cost(const Group& group, const Tiling& tiling, const Isa& isa,
                                    const Machine& machine) const {
    const WinogradGradientShape s(group);
    const double tiles = 1.0 * s.tiles() * group.batch;
    const double products = s.products() * group.batch;
    const double transforms =
        (s.points == 4 ? 20.0 : 100.0) * tiles * (s.conv.channels + s.conv.out_channels);
    const double partials = 2.0 * s.sum_bytes() * tiling.at("parts");
    return roofline(machine, isa, products + transforms, 0.6, traffic_bytes(group) + partials,
                    tiling.at("parts"));
}

std::vector<Scratch> WinogradFilterGradient::scratch(const Group& group,
                                                     const Tiling& tiling) const {
    const WinogradGradientShape s(group);
    return {{"partial",
             {s.conv.out_channels, s.conv.channels, s.points, s.points, tiling.at("parts")}}};
}

std::vector<Func> WinogradFilterGradient::build(KernelContext& context,
                                                const Tiling& tiling) const {
    const WinogradGradientShape shape(context.group());
    const ConvShape& s = shape.conv;
    const int kb = tiling.at("kb"), tc = tiling.at("tc"), tb = tiling.at("tb"),
              parts = tiling.at("parts");
    const Expr samples = context.samples(), total = samples * shape.tiles();
    const Func gradient = context.operand(1);  // (c, x, y, n)
    const Func input = with_border(context.operand(0), s.width, s.height, s.pad_left, s.pad_top);

    // Algorithm.
    Var c("c"), k("k"), t("t"), x("x"), y("y"), row("row"), i("i"), j("j"), b("b"), p("p");
    const Expr left = (t % shape.columns) * shape.tile, tile_row = t / shape.columns;
    // Samples of x are copied with their borders, one below the other; rows of tiles overlap.
    const int overlap = s.kernel_h - 1, height = shape.rows * shape.tile + overlap;
    const Expr first_row = tile_row * shape.tile + t / shape.tiles() * overlap;
    Func staged_x("staged_x"), staged_y("staged_y");
    staged_x(c, x, row) = input(c, x, row % height, Halide::min(row / height, samples - 1));
    // Rows of tiles of dy are numbered over all samples.
    const Expr top = (row % shape.rows) * shape.tile;
    const Expr sample = Halide::min(row / shape.rows, samples - 1);
    Expr inside = row < samples * shape.rows;
    if (s.out_width % shape.tile != 0) inside = inside && x < s.out_width;
    if (s.out_height % shape.tile != 0) inside = inside && top + y < s.out_height;
    staged_y(k, x, y, row) =
        Halide::select(inside,
                       gradient(k, Halide::min(x, s.out_width - 1),
                                Halide::min(top + y, s.out_height - 1), sample),
                       0.0F);
    auto read_input = [&](int q) -> Expr { return staged_x(c, left + x, first_row + q); };
    auto read_gradient = [&](int q) -> Expr { return staged_y(k, left + x, q, tile_row); };
    Func half_x("half_x"), data_x("data_x"), half_y("half_y"), data_y("data_y");
    half_x(c, t, x, i) = Halide::mux(i, input_transform(gather(shape.points, read_input)));
    data_x(c, t, j, i) = Halide::mux(
        j,
        input_transform(gather(shape.points, [&](int q) -> Expr { return half_x(c, t, q, i); })));
    half_y(k, t, x, i) =
        Halide::mux(i, gradient_transform(gather(shape.tile, read_gradient), shape.points));
    data_y(k, t, j, i) = Halide::mux(
        j, gradient_transform(gather(shape.tile, [&](int q) -> Expr { return half_y(k, t, q, i); }),
                              shape.points));

    RDom r(0, tb, "r");
    Func registers("registers"), partial("partial"), sum("sum");
    // Each register tile asks for a part of its partition's next block.
    Func next("next");
    if (asks_ahead(shape, context.group().batch)) {
        const int tiles_k = s.out_channels / kb, tiles_c = s.channels / tc;
        const int shares = shape.points * shape.points * tiles_k * tiles_c;
        const Expr share =
            (((b + parts) * shape.points + i) * shape.points + j) * tiles_k * tiles_c +
            k * tiles_c + c;
        const int rows = tb / shape.columns * shape.tile;  // of the operands, a block
        next(k, c, j, i, b) = read_ahead(context, 0, share, rows * s.width, shares) +
                              read_ahead(context, 1, share, rows * s.out_width, shares);
    }
    registers(k, c, j, i, b) = next.defined() ? next(k / kb, c / tc, j, i, b) : Expr(0.0F);
    registers(k, c, j, i, b) += data_y(k, b * tb + r, j, i) * data_x(c, b * tb + r, j, i);
    RDom q(0, (total + tb * parts - 1) / (tb * parts), "q");
    partial(k, c, j, i, p) = 0.0F;
    partial(k, c, j, i, p) =
        Strict(partial(k, c, j, i, p)) + Strict(registers(k, c, j, i, q * parts + p));
    sum(k, c, j, i) =
        tree_sum(gather(parts, [&](int part) -> Expr { return partial(k, c, j, i, part); }));

    FilterAdjoint adjoint(
        shape, [&](const Expr& ck, const Expr& cc, const Expr& cj, const Expr& ci) -> Expr {
            return sum(ck, cc, cj, ci);
        });
    Func out = context.finish(adjoint.result);

    // Schedule.
    const std::vector<Var> at = out.args();  // lane, c, kx, ky, block
    Var task("task"), ko("ko"), ki("ki"), co("co"), ci("ci");
    out.reorder(at[0], at[2], at[3], at[1], at[4])
        .fuse(at[1], at[4], task)
        .parallel(task)
        .vectorize(at[0], kVector)
        .unroll(at[2])
        .unroll(at[3]);
    adjoint.half.compute_at(out, task)
        .vectorize(adjoint.k, kVector)
        .unroll(adjoint.j)
        .unroll(adjoint.ky);

    partial.compute_root().vectorize(k, kVector).parallel(p);
    partial.update()
        .split(k, ko, ki, kb)
        .split(c, co, ci, tc)
        .reorder(ki, ci, co, ko, j, i, q, p)
        .vectorize(ki, kVector)
        .unroll(ki)
        .unroll(ci)
        .parallel(p);
    registers.compute_at(partial, co).vectorize(k, kVector).unroll(k).unroll(c);
    registers.update().reorder(k, c, r, j, i, b).vectorize(k, kVector).unroll(k).unroll(c);
    if (next.defined()) next.compute_at(partial, co);
    auto stage = [&](Func data, Func first_half, const Var& channel) {
        Var outer("outer"), inner("inner");
        data.compute_at(partial, q)
            .split(channel, outer, inner, kVector)
            .reorder(inner, j, i, outer, t)
            .vectorize(inner)
            .unroll(j)
            .unroll(i)
            .bound_storage(t, tb | 1);  // an odd stride spreads the planes over the cache's sets
        first_half.compute_at(data, outer).vectorize(channel, kVector).unroll(x).unroll(i);
    };
    stage(data_x, half_x, c);
    stage(data_y, half_y, k);
    auto copy = [&](Func staged, const Var& channel, int width, int rows) {
        staged.compute_at(partial, q)
            .bound_storage(x, width)
            .bound_storage(row, rows)
            .vectorize(channel, kVector)
            .never_partition_all();
    };
    if (is_staged(shape)) {
        const int tile_rows = tb / shape.columns, most_samples = tile_rows / shape.rows + 2;
        copy(staged_x, c, shape.columns * shape.tile + overlap,
             tile_rows * shape.tile + most_samples * overlap);
        copy(staged_y, k, shape.columns * shape.tile, tile_rows);
        staged_y.bound_extent(y, shape.tile);
    }
    return {out, partial};
}

}  // namespace emulsion
