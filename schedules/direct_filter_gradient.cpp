// Direct filter gradient. See direct.h for the nest.
//
// A tiling is
//     bo, tc, tx, ty   register tile: blocks of 16 output channels, input channels, taps in x and y
//     unroll           positions in x of one step of the loop
//     rows, images     rows of dy, and samples, of one chunk
//     parts            partitions of the samples
//     split            tasks that share a partition, each with its own blocks of output channels
#include "compiler/recipe/kernel_context.h"
#include "schedules/direct.h"

#include <algorithm>

namespace emulsion {

namespace {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::RVar;
using Halide::TailStrategy;
using Halide::Var;

double filter_bytes(const ConvShape& s) { return 4.0 * s.blocks() * 16 * s.channels * s.taps(); }

struct Tile {
    int blocks, channels, x, y;
};

// Register tiles, best first: the one vector load of dy per block serves channels * x * y
// broadcasts.
std::vector<Tile> filter_tiles(const ConvShape& s, const Isa& isa) {
    std::vector<std::pair<double, Tile>> found;
    for (int blocks : {1, 2, 4}) {
        if (s.blocks() % blocks != 0) continue;
        for (int y = 1; y <= s.kernel_h; y++) {
            if (s.kernel_h % y != 0 || (y > 1 && s.channels > 4)) continue;
            for (int x = 1; x <= s.kernel_w; x++) {
                if (s.kernel_w % x != 0) continue;
                for (int channels : {1, 2, 3, 4, 6, 8, 12, 16}) {
                    if (s.channels % channels != 0) continue;
                    int positions = channels * x * y;
                    if (tile_registers(isa, 16 * blocks, positions) > accumulator_limit(isa))
                        continue;
                    double cycles = step_cycles(isa, 16 * blocks, positions) / (blocks * positions);
                    if (x < s.kernel_w) cycles *= 1.03;
                    found.push_back({cycles, {blocks, channels, x, y}});
                }
            }
        }
    }
    std::stable_sort(found.begin(), found.end(),
                     [](auto& a, auto& b) { return a.first < b.first; });
    std::vector<Tile> tiles;
    for (size_t i = 0; i < std::min<size_t>(found.size(), 10); i++)
        tiles.push_back(found[i].second);
    return tiles;
}

// Positions in x to unroll: with two blocks or more, neighbouring positions then share broadcasts
// in registers.
int unroll_choice(const ConvShape& s, const Isa& isa, int blocks) {
    if (isa.registers < 32 || blocks < 2) return 1;
    for (int factor : {8, 7, 6, 5, 4}) {
        if (s.out_width > factor && s.out_width % factor == 0) return factor;
    }
    return 1;
}

struct Partition {
    int rows = 1, images = 1, parts = 1;
};

// Channels of the blocks in which x is staged: 16 where they divide, so that positions lie one
// cache line apart.
int staged_block(const ConvShape& s) { return s.channels % 16 == 0 ? 16 : s.channels; }

// Bytes that one pass over a chunk touches again and again: `blocks` blocks of dy and one block of
// x.
double chunk_bytes(const ConvShape& s, int blocks, int rows, int images) {
    double columns = s.kernel_w == 1
                         ? s.out_width
                         : (s.out_width - 1) * s.stride_w + (s.kernel_w - 1) * s.dilation_w + 1;
    double lines =
        s.kernel_h == 1 ? rows : (rows - 1) * s.stride_h + (s.kernel_h - 1) * s.dilation_h + 1;
    return 4.0 * images * (staged_block(s) * columns * lines + 16.0 * blocks * s.out_width * rows);
}

// Chunks fit the first cache, if that leaves enough positions to pay for loading and storing the
// tile; partitions are many enough for some threads, and together no larger than a cache. All of it
// changes the order of the sum, so it follows from shape and compiled batch alone: neither from the
// instruction set nor from the register tile.
Partition partition_of(const ConvShape& s, int batch) {
    constexpr double kChunkLimit = 44e3, kPartialLimit = 2e6;
    constexpr int kPositions = 96, kMostParts = 16;
    const int blocks = std::min(2, s.blocks());
    Partition p;
    p.rows = s.out_height;
    for (int cuts = 2; p.rows > 1; cuts++) {
        int fewer = divide_up(s.out_height, cuts);
        if (chunk_bytes(s, blocks, p.rows, 1) <= kChunkLimit || fewer * s.out_width < kPositions)
            break;
        p.rows = fewer;
    }
    while (p.rows == s.out_height && p.images * 2 <= batch &&
           p.rows * s.out_width * p.images < kPositions) {
        p.images *= 2;
    }
    int groups = divide_up(batch, p.images);
    p.parts = std::clamp(static_cast<int>(kPartialLimit / filter_bytes(s)), 1,
                         std::min(kMostParts, groups));
    while (p.parts > 1 && divide_up(groups, p.parts) * p.parts * 10 > groups * 11)
        p.parts--;  // uneven shares
    return p;
}

// Tasks that share a partition, so that there are some 16 tasks in all.
int split_of(const ConvShape& s, int parts, int tile_blocks) {
    constexpr int kTasks = 16;
    int groups = s.blocks() / tile_blocks;
    int split = std::min(groups, divide_up(kTasks, parts));
    while (groups % split != 0) split--;
    return split;
}

}  // namespace

bool DirectFilterGradient::applies(const Group& group, const Isa&) const {
    return group.anchor >= 0 && group.anchor_node().op->kind() == "conv2d_backward_filter";
}

std::vector<Tiling> DirectFilterGradient::tilings(const Group& group, const Isa& isa) const {
    ConvShape s = conv_shape(group);
    Partition p = partition_of(s, group.batch);
    std::vector<Tiling> tilings;
    for (const Tile& t : filter_tiles(s, isa)) {
        tilings.push_back({{{"bo", t.blocks},
                            {"tc", t.channels},
                            {"tx", t.x},
                            {"ty", t.y},
                            {"unroll", unroll_choice(s, isa, t.blocks)},
                            {"rows", p.rows},
                            {"images", p.images},
                            {"parts", p.parts},
                            {"split", split_of(s, p.parts, t.blocks)}}});
    }
    return tilings;
}

double DirectFilterGradient::cost(const Group& group, const Tiling& tiling, const Isa& isa,
                                  const Machine& machine) const {
    ConvShape s = conv_shape(group);
    int blocks = tiling.at("bo"), positions = tiling.at("tc") * tiling.at("tx") * tiling.at("ty");
    int parts = tiling.at("parts"), images = tiling.at("images"), rows = tiling.at("rows");
    double registers = tile_registers(isa, 16 * blocks, positions);
    double steps = 1.0 * images * rows * s.out_width;
    double tile_cycles = steps * step_cycles(isa, 16 * blocks, positions) + 1.5 * registers + 10;
    double efficiency = 0.95 * steps * registers / 2 / tile_cycles;
    double covered = divide_up(s.out_height, rows) * rows / static_cast<double>(s.out_height);
    double partial_bytes = parts > 1 ? 2.0 * parts * filter_bytes(s) : 0;
    return roofline(machine, isa,
                    group.batch * s.multiply_adds() * covered * s.blocks() * 16 / s.out_channels,
                    efficiency, traffic_bytes(group) + partial_bytes, parts * tiling.at("split"));
}

std::vector<Func> DirectFilterGradient::build(KernelContext& context, const Tiling& tiling) const {
    const ConvShape s = conv_shape(context.group());
    const int bo = tiling.at("bo"), tc = tiling.at("tc"), tx = tiling.at("tx"),
              ty = tiling.at("ty");
    const int rows = tiling.at("rows"), images = tiling.at("images"), parts = tiling.at("parts");
    const int task_blocks = s.blocks() / tiling.at("split");
    const int row_chunks = divide_up(s.out_height, rows);
    Expr samples = context.samples();

    // Algorithm.
    Var l("l"), b("b"), c("c"), x("x"), y("y"), n("n"), kx("kx"), ky("ky"), v("v"), g("g"), p("p");
    Func input = context.operand(0), gradient = context.operand(1);  // (c, x, y, n)

    // The input with a border of zeros, over padded coordinates; absent samples repeat the last
    // one. A kernel one cell wide reads every stride-th cell only, so only those are copied.
    const int block = staged_block(s);
    const int step_x = s.kernel_w == 1 ? s.stride_w : 1, step_y = s.kernel_h == 1 ? s.stride_h : 1;
    Func staged_x("staged_x");  // (channel of its block, x, y, block, n)
    Expr ix = x * step_x - s.pad_left, iy = y * step_y - s.pad_top;
    Expr value = input(b * block + c, Halide::clamp(ix, 0, s.width - 1),
                       Halide::clamp(iy, 0, s.height - 1), Halide::min(n, samples - 1));
    staged_x(c, x, y, b, n) =
        Halide::select(ix >= 0 && ix < s.width && iy >= 0 && iy < s.height, value, 0.0F);

    // The gradient in blocks of 16 channels, zero outside its channels, rows and samples.
    Func staged_dy("staged_dy");  // (lane, x, y, block, n)
    Expr k = b * 16 + l;
    Expr real = n < samples;
    if (s.out_channels % 16 != 0) real = real && k < s.out_channels;
    if (s.out_height % rows != 0) real = real && y < s.out_height;
    Expr dy = gradient(s.out_channels % 16 != 0 ? Halide::min(k, s.out_channels - 1) : k, x,
                       s.out_height % rows != 0 ? Halide::min(y, s.out_height - 1) : y,
                       Halide::min(n, samples - 1));
    staged_dy(l, x, y, b, n) = Halide::select(real, dy, 0.0F);

    // One register tile over chunk (v, g): rows v * rows …, samples g * images ….
    RDom r(0, s.out_width, 0, rows, 0, images, "r");
    Func tile("tile");
    tile(l, b, c, kx, ky, v, g) = 0.0F;
    Expr row = v * rows + r.y, image = g * images + r.z;
    tile(l, b, c, kx, ky, v, g) +=
        staged_dy(l, r.x, row, b, image) *
        staged_x(c % block, r.x * (s.stride_w / step_x) + kx * s.dilation_w,
                 row * (s.stride_h / step_y) + ky * s.dilation_h, c / block, image);

    // Sample groups p, p + parts, p + 2 * parts, … belong to partition p.
    Expr groups = (samples + images * parts - 1) / (images * parts);
    RDom q(0, row_chunks, 0, groups, "q");
    Func partial("partial");
    partial(l, b, c, kx, ky, p) = 0.0F;
    partial(l, b, c, kx, ky, p) += tile(l, b, c, kx, ky, q.x, q.y * parts + p);

    Func total("total");  // (lane, c, kx, ky, block), the layout of filters
    std::vector<Expr> terms;
    for (int i = 0; i < parts; i++) terms.push_back(partial(l, b, c, kx, ky, i));
    total(l, c, kx, ky, b) = tree_sum(terms);
    Func out = context.finish(total);

    // Schedule.
    std::vector<Var> at = out.args();
    Var task("task"), bt("bt"), bi("bi"), bb("bb"), co("co"), ci("ci"), xo("xo"), xi("xi"),
        yo("yo"), yi("yi");
    out.fuse(at[3], at[4], task).parallel(task).vectorize(at[0], 16);

    partial.compute_root()
        .reorder(l, c, kx, ky, b, p)
        .vectorize(l, 16)
        .fuse(b, p, task)
        .parallel(task);
    Halide::Stage sum = partial.update();
    sum.split(b, bt, bi, task_blocks, TailStrategy::GuardWithIf)
        .split(bi, bi, bb, bo, TailStrategy::GuardWithIf)
        .split(c, co, ci, tc, TailStrategy::GuardWithIf)
        .split(kx, xo, xi, tx, TailStrategy::GuardWithIf)
        .split(ky, yo, yi, ty, TailStrategy::GuardWithIf)
        .reorder(l, bb, ci, xi, yi, co, xo, yo, bi, q.x, q.y, bt, p)
        .fuse(bt, p, task)
        .parallel(task)
        .vectorize(l, 16)
        .unroll(bb)
        .unroll(ci)
        .unroll(xi)
        .unroll(yi);
    partial.bound(l, 0, 16).bound(b, 0, s.blocks()).bound(c, 0, s.channels);
    partial.bound(kx, 0, s.kernel_w).bound(ky, 0, s.kernel_h).bound(p, 0, parts);

    tile.compute_at(partial, co).vectorize(l, 16).unroll(b).unroll(c).unroll(kx).unroll(ky);
    tile.update()
        .reorder(l, b, c, kx, ky, r.x, r.y, r.z)
        .unroll(r.x, tiling.at("unroll"))
        .vectorize(l, 16)
        .unroll(b)
        .unroll(c)
        .unroll(kx)
        .unroll(ky);

    staged_dy.compute_at(partial, q.x)
        .vectorize(l, 16)
        .reorder(l, b, x, y, n)
        .reorder_storage(l, x, y, b, n);
    staged_dy.bound_extent(l, 16).never_partition_all();
    staged_x.compute_at(partial, q.x)
        .reorder(c, b, x, y, n)
        .reorder_storage(c, x, y, b, n)
        .bound_extent(c, block);
    staged_x.never_partition_all();
    if (s.channels >= 8) {
        staged_x.vectorize(c, 16, TailStrategy::GuardWithIf);
    } else if (s.channels == 1) {
        staged_x.vectorize(x, 16, TailStrategy::GuardWithIf);
    }
    return {out};
}

}  // namespace emulsion
