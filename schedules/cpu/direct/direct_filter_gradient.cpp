// Direct filter gradient. See direct.h for the nest.
//
// A tiling is
//     bo, tc, tx, ty   register tile: blocks of 16 output channels, input channels, taps in x and y
//     unroll           positions in x of one step of the loop
//     rows, images     rows of dy, and samples, of one chunk
//     parts            partitions of the samples
//     split            tasks that share a partition, each with its own blocks of output channels
//     xsplit           tasks that each of those is cut into, each with its own input channels
#include "compiler/ops/conv2d.h"
#include "compiler/ops/strict.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/common/anchor.h"
#include "schedules/cpu/direct/direct.h"

#include <fmt/format.h>

#include <algorithm>

namespace emulsion {

namespace {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::RVar;
using Halide::TailStrategy;
using Halide::Var;

constexpr int kMostParts = 16;

double filter_bytes(const ConvShape& s) {
    return 4.0 * s.blocks() * 16 * s.filter_channels() * s.taps();
}

struct Tile {
    int blocks, channels, x, y;
};

// Blocks of y in a group of whole blocks.
int group_blocks(const ConvShape& s) { return s.readers() / 16; }
bool has_block_groups(const ConvShape& s) { return s.groups > 1 && !s.has_lane_groups(); }

// Whether so many blocks of y are of one group, or of whole groups.
bool lies_in_groups(const ConvShape& s, int blocks) {
    return !has_block_groups(s) || group_blocks(s) % blocks == 0 || blocks % group_blocks(s) == 0;
}

// Blocks of x that so many blocks of y have to do with.
int blocks_under(const ConvShape& s, int blocks) {
    return divide_up(blocks, group_blocks(s)) * (s.filter_channels() / 16);
}

// Positions in x to unroll: with two blocks or more, neighbouring positions then share broadcasts
// in registers, if the tile of `positions` results leaves any.
int unroll_choice(const ConvShape& s, const Isa& isa, int blocks, int positions) {
    if (isa.registers < 32 || blocks < 2 || blocks * (positions + 1) > 28) return 1;
    for (int factor : {8, 7, 6, 5, 4}) {
        if (s.out_width > factor && s.out_width % factor == 0) return factor;
    }
    return 1;
}

// Register tiles, best first: the one vector load of dy per block serves channels * x * y
// broadcasts.
std::vector<Tile> filter_tiles(const ConvShape& s, const Isa& isa) {
    std::vector<std::pair<double, Tile>> found;
    for (int blocks : {1, 2, 4}) {
        if (s.blocks() % blocks != 0 || !lies_in_groups(s, blocks)) continue;
        for (int y = 1; y <= s.kernel_h; y++) {
            if (s.kernel_h % y != 0 || (y > 1 && s.filter_channels() > 4)) continue;
            for (int x = 1; x <= s.kernel_w; x++) {
                if (s.kernel_w % x != 0) continue;
                for (int channels : {1, 2, 3, 4, 6, 8, 12, 16}) {
                    if (s.filter_channels() % channels != 0) continue;
                    int positions = channels * x * y;
                    if (tile_registers(isa, 16 * blocks, positions) > accumulator_limit(isa))
                        continue;
                    double cycles = step_cycles(isa, 16 * blocks, positions) / (blocks * positions);
                    if (x < s.kernel_w) cycles *= 1.03;
                    if (unroll_choice(s, isa, blocks, positions) > 1) cycles *= 0.9;
                    // Loads wait for the caches now and then.
                    cycles *= 1 + 0.2 * (blocks + positions) / (blocks * positions);
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

struct Partition {
    int rows = 1, images = 1, parts = 1;
};

// Channels of the blocks in which x is staged: 16 where they divide, so that positions lie one
// cache line apart. Where blocks of y hold whole groups, each lane has all that its filter reads.
int staged_block(const ConvShape& s) {
    if (s.has_lane_groups()) return 16 * s.filter_channels();
    return s.channels % 16 == 0 ? 16 : s.channels;
}

// Lines of x under `rows` rows of dy.
int lines_under(const ConvShape& s, int rows) {
    return s.kernel_h == 1 ? rows : (rows - 1) * s.stride_h + (s.kernel_h - 1) * s.dilation_h + 1;
}

// Bytes that one pass over a chunk touches again and again: `blocks` blocks of dy and one block of
// x.
double chunk_bytes(const ConvShape& s, int blocks, int rows, int images) {
    double columns = s.kernel_w == 1
                         ? s.out_width
                         : (s.out_width - 1) * s.stride_w + (s.kernel_w - 1) * s.dilation_w + 1;
    return 4.0 * images *
           (staged_block(s) * columns * lines_under(s, rows) + 16.0 * blocks * s.out_width * rows);
}

// Chunks fit the first cache, if that leaves enough positions to pay for loading and storing the
// tile, and copies no line of x more than twice; partitions are many enough for some threads, and
// together no larger than a cache. All of it changes the order of the sum, so it follows from shape
// and compiled batch alone: neither from the instruction set nor from the register tile.
Partition partition_of(const ConvShape& s, int batch) {
    constexpr double kChunkLimit = 44e3, kPartialLimit = 2e6;
    constexpr int kPositions = 96;
    const int blocks = std::min(2, s.blocks());
    Partition p;
    p.rows = s.out_height;
    for (int cuts = 2; chunk_bytes(s, blocks, p.rows, 1) > kChunkLimit && p.rows > 1; cuts++) {
        int fewer = divide_up(s.out_height, cuts);
        if (fewer * s.out_width < kPositions) break;
        if (lines_under(s, fewer) > 2 * fewer * s.stride_h) break;
        bool even = divide_up(s.out_height, fewer) * fewer * 25 <= s.out_height * 26;
        if (even || fewer <= 4) p.rows = fewer;  // missing rows cost as much as real ones
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

// Pieces of the input channels that tasks may share out: none where groups decide what a task
// reads, and 256 bytes wide at least, as narrower ones are slow to copy.
int shared_pieces(const ConvShape& s) {
    constexpr int kChannels = 64;
    return s.groups == 1 && s.channels % kChannels == 0 ? s.channels / kChannels : 1;
}

// Tasks of a partition: by output channels, and by input channels.
struct Split {
    int blocks = 1, x_blocks = 1;
};

// As many as make some 16 tasks in all. Each task copies what it reads, so x is copied once for
// each cut of the output channels, dy once for each of the input channels: of equally many tasks
// those that copy least.
Split split_of(const ConvShape& s, int parts, int tile_blocks, int tile_channels) {
    constexpr int kTasks = 16;
    const int most = divide_up(kTasks, parts), groups = s.blocks() / tile_blocks;
    const double x = s.channels * (s.kernel_h == 1 ? s.out_height : s.height) *
                     (s.kernel_w == 1 ? s.out_width : s.width);
    const double dy = 16.0 * s.blocks() * s.out_width * s.out_height;
    Split best;
    double copied = x + dy;
    for (int blocks : divisors(groups, most)) {
        if (!lies_in_groups(s, s.blocks() / blocks)) continue;
        for (int x_blocks : divisors(shared_pieces(s), most / blocks)) {
            if (s.filter_channels() / x_blocks % tile_channels != 0) continue;
            const int tasks = blocks * x_blocks - best.blocks * best.x_blocks;
            const double copies = blocks * x + x_blocks * dy;
            if (tasks < 0 || (tasks == 0 && copies >= copied)) continue;
            best = {blocks, x_blocks};
            copied = copies;
        }
    }
    return best;
}

// The Funcs of the nest, and the sizes they share.
struct FilterNest {
    ConvShape shape;
    int rows = 1, images = 1, parts = 1, task_blocks = 1, task_channels = 1, block = 1;
    Var l{"l"}, b{"b"}, c{"c"}, x{"x"}, y{"y"}, n{"n"}, kx{"kx"}, ky{"ky"}, v{"v"}, g{"g"}, p{"p"};
    Func staged_x{"staged_x"};    // (channel of its block, x, y, block, n), padded coordinates;
                                  // where lanes hold groups: (lane + 16 * c, x, y, block of y, n)
    Func staged_dy{"staged_dy"};  // (lane, x, y, block, n)
    Func tile{"tile"};            // (lane, block, c, kx, ky, v, g): over chunk (v, g)
    Func partial{"partial"};      // (lane, block, c, kx, ky, p): over partition p
    RDom positions, chunks;       // (x, y, n) in a chunk; (v, g) in a partition
};

// The input in blocks, with a border of zeros; absent samples repeat the last one. A kernel one
// cell wide reads every stride-th cell only, so only those are copied. The gradient is zero outside
// its channels, rows and samples.
void define_staging(FilterNest& f, KernelContext& context) {
    const ConvShape& s = f.shape;
    const int step_x = s.kernel_w == 1 ? s.stride_w : 1, step_y = s.kernel_h == 1 ? s.stride_h : 1;
    Expr samples = context.samples(), sample = Halide::min(f.n, samples - 1);
    Func bordered = with_border(context.operand(0), s.width, s.height, s.pad_left, s.pad_top);
    const Expr channel = s.has_lane_groups() ? channel_in_group(s, f.b * 16 + f.c % 16, f.c / 16,
                                                                s.readers(), s.filter_channels())
                                             : f.b * f.block + f.c;
    f.staged_x(f.c, f.x, f.y, f.b, f.n) = bordered(channel, f.x * step_x, f.y * step_y, sample);

    Expr k = f.b * 16 + f.l, y = f.y, real = f.n < samples;
    if (s.out_channels % 16 != 0) {
        real = real && k < s.out_channels;
        k = Halide::min(k, s.out_channels - 1);
    }
    if (s.out_height % f.rows != 0) {
        real = real && y < s.out_height;
        y = Halide::min(y, s.out_height - 1);
    }
    f.staged_dy(f.l, f.x, f.y, f.b, f.n) =
        Halide::select(real, context.operand(1)(k, f.x, y, sample), 0.0F);
}

// Tiles over chunks, and their sums over partitions: sample groups p, p + parts, … belong to
// partition p.
void define_sums(FilterNest& f, const Expr& samples) {
    const ConvShape& s = f.shape;
    const int step_x = s.kernel_w == 1 ? 1 : s.stride_w, step_y = s.kernel_h == 1 ? 1 : s.stride_h;
    f.positions = RDom(0, s.out_width, 0, f.rows, 0, f.images, "positions");
    const RDom& r = f.positions;
    f.tile(f.l, f.b, f.c, f.kx, f.ky, f.v, f.g) = 0.0F;
    Expr row = f.v * f.rows + r.y, image = f.g * f.images + r.z;
    Expr block = f.c / f.block;
    if (s.has_lane_groups()) block = f.b;
    if (has_block_groups(s)) block += f.b / group_blocks(s) * (s.filter_channels() / 16);
    f.tile(f.l, f.b, f.c, f.kx, f.ky, f.v, f.g) +=
        f.staged_dy(f.l, r.x, row, f.b, image) *
        f.staged_x(s.has_lane_groups() ? f.c * 16 + f.l : f.c % f.block,
                   r.x * step_x + f.kx * s.dilation_w, row * step_y + f.ky * s.dilation_h, block,
                   image);

    Expr groups = (samples + f.images * f.parts - 1) / (f.images * f.parts);
    f.chunks = RDom(0, divide_up(s.out_height, f.rows), 0, groups, "chunks");
    f.partial(f.l, f.b, f.c, f.kx, f.ky, f.p) = 0.0F;
    f.partial(f.l, f.b, f.c, f.kx, f.ky, f.p) =
        Strict(f.partial(f.l, f.b, f.c, f.kx, f.ky, f.p)) +
        Strict(f.tile(f.l, f.b, f.c, f.kx, f.ky, f.chunks.x, f.chunks.y * f.parts + f.p));
}

void schedule_sums(FilterNest& f, const Tiling& tiling) {
    const ConvShape& s = f.shape;
    const TailStrategy guard = TailStrategy::GuardWithIf;  // updates allow no other
    Var task("task"), bt("bt"), ct("ct"), cc("cc"), bi("bi"), bb("bb"), co("co"), ci("ci"),
        xo("xo"), xi("xi"), yo("yo"), yi("yi");
    f.partial.compute_root()
        .reorder(f.l, f.c, f.kx, f.ky, f.b, f.p)
        .vectorize(f.l, 16)
        .fuse(f.b, f.p, task);
    f.partial.parallel(task);
    f.partial.bound(f.l, 0, 16).bound(f.b, 0, s.blocks()).bound(f.c, 0, s.filter_channels());
    f.partial.bound(f.kx, 0, s.kernel_w).bound(f.ky, 0, s.kernel_h).bound(f.p, 0, f.parts);
    f.partial.update()
        .split(f.b, bt, bi, f.task_blocks, guard)
        .split(bi, bi, bb, tiling.at("bo"), guard)
        .split(f.c, ct, cc, f.task_channels, guard)
        .split(cc, co, ci, tiling.at("tc"), guard)
        .split(f.kx, xo, xi, tiling.at("tx"), guard)
        .split(f.ky, yo, yi, tiling.at("ty"), guard)
        .reorder(f.l, bb, ci, xi, yi, co, xo, yo, bi, f.chunks.x, f.chunks.y, bt, ct, f.p)
        .fuse(bt, ct, task)
        .fuse(task, f.p, task)
        .parallel(task)
        .vectorize(f.l, 16)
        .unroll(bb)
        .unroll(ci)
        .unroll(xi)
        .unroll(yi);

    f.tile.compute_at(f.partial, co)
        .vectorize(f.l, 16)
        .unroll(f.b)
        .unroll(f.c)
        .unroll(f.kx)
        .unroll(f.ky);
    f.tile.update()
        .reorder(f.l, f.b, f.c, f.kx, f.ky, f.positions.x, f.positions.y, f.positions.z)
        .unroll(f.positions.x, tiling.at("unroll"))
        .vectorize(f.l, 16)
        .unroll(f.b)
        .unroll(f.c)
        .unroll(f.kx)
        .unroll(f.ky);
}

void schedule_staging(FilterNest& f) {
    const ConvShape& s = f.shape;
    f.staged_dy.compute_at(f.partial, f.chunks.x)
        .vectorize(f.l, 16)
        .reorder(f.l, f.b, f.x, f.y, f.n)
        .reorder_storage(f.l, f.x, f.y, f.b, f.n)
        .bound_extent(f.l, 16)
        .bound_extent(f.b, f.task_blocks)
        .never_partition_all();
    if (f.task_blocks <= 4) f.staged_dy.unroll(f.b);
    if (s.out_width % 2 == 0) {  // cells scattered back through a pooling share what they read
        Var pair("pair");
        f.staged_dy.split(f.x, f.x, pair, 2, TailStrategy::RoundUp)
            .reorder(f.l, pair, f.b, f.x, f.y, f.n)
            .unroll(pair);
    }
    f.staged_x.compute_at(f.partial, f.chunks.x)
        .reorder(f.c, f.b, f.x, f.y, f.n)
        .reorder_storage(f.c, f.x, f.y, f.b, f.n)
        .bound_extent(f.c, f.block)
        .never_partition_all();
    if (s.has_lane_groups()) f.staged_x.bound_extent(f.b, f.task_blocks);
    if (has_block_groups(s)) f.staged_x.bound_extent(f.b, blocks_under(s, f.task_blocks));
    if (s.has_lane_groups()) {  // what the lanes of one filter channel read, others read too
        f.staged_x.vectorize(f.c, 16 * std::min(s.filter_channels(), 4));
    } else {
        vectorize_staging(f.staged_x, f.c, f.x, s.channels);
    }
}

}  // namespace

bool DirectFilterGradient::applies(const Group& group, const Isa&) const {
    return anchor_as<Conv2dBackwardFilter>(group) != nullptr && has_direct_groups(group);
}

TilingSpace DirectFilterGradient::space(const Group& group, const Isa&) const {
    const ConvShape s = conv_shape(group);
    TilingSpace space = {{"bo", divisors(s.blocks(), 4)},
                         {"tc", divisors(s.filter_channels(), 16)},
                         {"tx", divisors(s.kernel_w, s.kernel_w)},
                         {"ty", divisors(s.kernel_h, s.kernel_h)},
                         {"unroll", divisors(s.out_width, 8)},
                         {"rows", {}, 1, s.out_height, true},
                         {"images", {}, 1, std::max(group.batch, 1), true},
                         {"parts", {}, 1, kMostParts, true},
                         {"split", divisors(s.blocks(), s.blocks())}};
    const std::vector<int> x_splits = divisors(shared_pieces(s), shared_pieces(s));
    if (x_splits.size() > 1) space.push_back({"xsplit", x_splits, 0, -1, false, 1});
    return space;
}

std::string DirectFilterGradient::clash(const Group& group, const Tiling& tiling,
                                        const Isa& isa) const {
    const int bo = tiling.at("bo"), split = tiling.at("split");
    const int parts = tiling.at("parts"), images = tiling.at("images");
    const int channels = conv_shape(group).filter_channels() / tiling.at("xsplit", 1);
    const ConvShape s = conv_shape(group);
    if (channels % tiling.at("tc") != 0)
        return fmt::format("tc={} does not divide the {} channels of a task", tiling.at("tc"),
                           channels);
    if (s.blocks() % (bo * split) != 0)
        return fmt::format("split={} of bo={} do not divide the {} blocks", split, bo, s.blocks());
    if (!lies_in_groups(s, bo) || !lies_in_groups(s, s.blocks() / split))
        return fmt::format("split={} of bo={} cut groups of {} blocks", split, bo, group_blocks(s));
    if (parts > divide_up(group.batch, images))
        return fmt::format("parts={} of images={} for {} samples", parts, images, group.batch);
    return register_fault(isa, 16 * bo, tiling.at("tc") * tiling.at("tx") * tiling.at("ty"));
}

std::vector<Tiling> DirectFilterGradient::tilings(const Group& group, const Isa& isa) const {
    ConvShape s = conv_shape(group);
    Partition p = partition_of(s, group.batch);
    std::vector<Tiling> tilings;
    for (const Tile& t : filter_tiles(s, isa)) {
        const Split split = split_of(s, p.parts, t.blocks, t.channels);
        tilings.push_back({{{"bo", t.blocks},
                            {"tc", t.channels},
                            {"tx", t.x},
                            {"ty", t.y},
                            {"unroll", unroll_choice(s, isa, t.blocks, t.channels * t.x * t.y)},
                            {"rows", p.rows},
                            {"images", p.images},
                            {"parts", p.parts},
                            {"split", split.blocks}}});
        if (split.x_blocks > 1) tilings.back().values.emplace_back("xsplit", split.x_blocks);
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
                    efficiency, traffic_bytes(group) + partial_bytes,
                    parts * tiling.at("split") * tiling.at("xsplit", 1));
}

std::vector<Func> DirectFilterGradient::build(KernelContext& context, const Tiling& tiling) const {
    FilterNest f;
    f.shape = conv_shape(context.group());
    f.rows = tiling.at("rows"), f.images = tiling.at("images"), f.parts = tiling.at("parts");
    f.task_blocks = f.shape.blocks() / tiling.at("split");
    f.task_channels = f.shape.filter_channels() / tiling.at("xsplit", 1);
    f.block = staged_block(f.shape);
    define_staging(f, context);
    define_sums(f, context.samples());
    Func total("total");  // (lane, c, kx, ky, block), the layout of filters
    std::vector<Expr> terms;
    for (int i = 0; i < f.parts; i++) terms.push_back(f.partial(f.l, f.b, f.c, f.kx, f.ky, i));
    total(f.l, f.c, f.kx, f.ky, f.b) = tree_sum(terms);
    Func out = context.finish(total);

    std::vector<Var> at = out.args();
    Var task("task");
    out.fuse(at[3], at[4], task).parallel(task).vectorize(at[0], 16);
    schedule_sums(f, tiling);
    schedule_staging(f);
    return {out};
}

}  // namespace emulsion
