// Direct forward convolution. See direct.h for the nest.
//
// The filter's own layout, blocks of 16 output channels, serves as tiles of 16, 32, 48 or 64
// channels: each block is a stream of its own. A tiling is
//     kw, tx, ty   register tile: output channels, and positions of the group's result in x and y
//     rows         rows of the result of one task
//     order        0: a task is (sample, rows); 1: a task is one kw, all samples inside, so that a
//     panel of filters
//                  too large for a core's share of the cache is read once
#include "compiler/graph/limits.h"
#include "compiler/ops/conv2d.h"
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

constexpr double kCachedBytes = 3e6;  // maps beyond are read from memory
constexpr int kUnrolledTaps = 9;      // of a row of a depthwise filter
constexpr int kUnrolledSteps = 24;    // of a row of a filter of several channels in lanes

// Sizes that build and tilings derive from the group.
struct ForwardPlan {
    ConvShape conv;
    int window_w = 1, window_h = 1;  // positions of the convolution under one of the result
    int width = 0, height = 0;       // of the result
    bool staged = false;             // in a copy with the border
    bool guarded = false;            // taps beyond the border are left out
    bool spreads = false;            // filters in lanes beside each other read the same channels

    explicit ForwardPlan(const Group& group) : conv(conv_shape(group)) {
        std::vector<int64_t> window = group.epilogue_window();
        window_w = to_int(window[0]), window_h = to_int(window[1]);
        const std::vector<int64_t>& shape = group.body.type(group.body.results()[0].value).shape;
        height = to_int(shape[1]), width = to_int(shape[2]);
        spreads = conv.has_lane_groups() && !conv.is_depthwise();
        guarded = conv.is_depthwise() && conv.is_padded() && !group.has_prologue(0);
        staged = spreads || group.has_prologue(0) || (conv.is_padded() && !guarded);
    }
    // Columns and rows of padded input under `x` by `rows` positions of the result.
    int input_columns(int x) const {
        return (x * window_w - 1) * conv.stride_w + (conv.kernel_w - 1) * conv.dilation_w + 1;
    }
    int input_rows(int rows) const {
        return (rows * window_h - 1) * conv.stride_h + (conv.kernel_h - 1) * conv.dilation_h + 1;
    }
    double staged_bytes(int rows) const {
        return 4.0 * conv.channels * input_columns(width) * input_rows(rows);
    }
    double filter_bytes() const {
        return 4.0 * conv.blocks() * 16 * conv.filter_channels() * conv.taps();
    }
};

// Multiply-adds' worth of what a register tile does beside them, per position, where lanes are
// groups and little but positions share what it loads.
double lane_tile_cost(const ForwardPlan& plan, bool is_cached, int x, int y) {
    constexpr double kLoad = 0.5, kTile = 8, kColumn = 0.25, kRow = 0.03;
    const ConvShape& conv = plan.conv;
    const double taps = conv.taps() * conv.filter_channels();
    const double window = plan.window_w * plan.window_h;
    const double columns = plan.input_columns(x);
    if (plan.spreads) {  // each row of taps loads and shuffles anew
        const double loads = columns * y * conv.kernel_h * (1 + conv.filter_channels());
        return (taps * x * y * window + kLoad * (loads + taps) + kTile) / (x * y);
    }
    const double loads = columns * y * conv.kernel_h + taps;
    const double all = (taps * x * y * window + kLoad * loads + kTile) / (x * y);
    // One column by all channels is one piece of memory in each row, which processors read ahead: 8
    // samples of 128 channels on 56x56 by 3x3 take 1.8 ms with 1x4 positions of 16 channels and 3.5
    // with 14x1 of 32 (Zen 4, one core).
    return all * (1 + (is_cached ? 0 : kColumn) * (x - 1)) * (1 + kRow * std::max(0, y - 4));
}

// The register tiles where lanes are groups, best first; `bytes` are those of the maps.
std::vector<RegisterTile> lane_tiles(const ForwardPlan& plan, const Isa& isa, double bytes) {
    constexpr double kCacheBytes = 8e6;  // what lies in the last cache needs no reading ahead
    constexpr int kSpread = 40;  // vectors of shuffled input beyond which registers do not hold it
    const int channels = isa.lanes > 8 ? 16 : 8, window = plan.window_w * plan.window_h;
    std::vector<std::pair<double, RegisterTile>> found;
    for (int y = 1; y <= std::min(plan.height, plan.spreads ? 1 : 8); y++) {
        const int most = isa.registers >= 32 && y == 1 ? 16 : 8;
        for (int x = 1; x <= std::min(plan.width, most); x++) {
            const bool fits =
                tile_registers(isa, channels, x * y * window) <= most &&
                (!plan.spreads || plan.input_columns(x) * plan.conv.filter_channels() <= kSpread);
            if (!fits && x * y > 1) continue;
            const int covered = divide_up(plan.width, x) * x * divide_up(plan.height, y) * y;
            found.push_back(
                {lane_tile_cost(plan, bytes < kCacheBytes, x, y) * covered, {channels, x, y}});
        }
    }
    std::stable_sort(found.begin(), found.end(),
                     [](auto& a, auto& b) { return a.first < b.first; });
    std::vector<RegisterTile> tiles;
    for (size_t i = 0; i < std::min<size_t>(found.size(), 8); i++) tiles.push_back(found[i].second);
    return tiles;
}

// Whether the convolution is of one tap, reads maps of `bytes` from memory where they lie and
// multiplies little for that.
bool reads_memory(const ForwardPlan& plan, double bytes) {
    const ConvShape& conv = plan.conv;
    return conv.taps() == 1 && !plan.staged && bytes > kCachedBytes &&
           1.0 * conv.channels * conv.out_channels < 64.0 * (conv.channels + conv.out_channels);
}

std::vector<RegisterTile> tiles_of(const ForwardPlan& plan, const Group& group, const Isa& isa) {
    constexpr size_t kTiles = 8;
    const double bytes = traffic_bytes(group);
    if (plan.conv.has_lane_groups()) return lane_tiles(plan, isa, bytes);
    const bool is_slow = reads_memory(plan, bytes);
    std::vector<RegisterTile> tiles =
        register_tiles(isa, plan.conv.blocks(), plan.width, plan.height, plan.window_w,
                       plan.window_h, is_slow ? 4 * kTiles : kTiles);
    // Each position is a place of its own to read ahead from: 4 samples of 256 channels on 56x56 to
    // 64 take 4.6 ms with 32x8 and 5.2 with 32x14, to 256 from 64 4.2 and 4.5 (Zen 4, one core).
    std::stable_partition(tiles.begin(), tiles.end(), [&](const RegisterTile& t) {
        return !is_slow || t.x * t.y * plan.window_w * plan.window_h <= 8;
    });
    if (tiles.size() > kTiles) tiles.resize(kTiles);
    return tiles;
}

// Rows of a task: as many as keep the staged copy within a cache, and few enough that 8 tasks
// exist. Only cuts into nearly equal parts are taken: a part's missing rows cost as much as real
// ones.
std::vector<int> row_choices(const ForwardPlan& plan, int batch, int ty) {
    constexpr double kStagedLimit = 320e3;
    std::vector<int> choices;
    auto fits = [&](int rows) { return plan.staged_bytes(rows) <= kStagedLimit; };
    auto enough = [&](int rows) { return batch * divide_up(plan.height, rows) >= 8; };
    for (int parts = 1; parts <= plan.height && choices.size() < 3; parts++) {
        int rows = divide_up(divide_up(plan.height, parts), ty) * ty;
        bool even = parts == 1 || divide_up(plan.height, rows) * rows * 20 <= plan.height * 21;
        bool last = rows <= ty;
        if (!last && !(even && fits(rows) && enough(rows))) continue;
        if (choices.empty() || (choices.back() != rows && !last)) choices.push_back(rows);
        if (last) break;
    }
    return choices;
}

}  // namespace

bool DirectForward::applies(const Group& group, const Isa& isa) const {
    if (anchor_as<Conv2d>(group) == nullptr || !has_direct_groups(group)) return false;
    if (group.has_prologue(1)) return false;
    const std::vector<int64_t> window = group.epilogue_window();
    if (!fits_registers(isa, to_int(window[0] * window[1]))) return false;
    for (const Result& result : group.body.results()) {
        const TensorType& type = group.body.type(result.value);
        if (!type.batched || type.shape.size() != 3 ||
            type.shape[0] != group.anchor_output().shape[0])
            return false;
    }
    return true;
}

TilingSpace DirectForward::space(const Group& group, const Isa& isa) const {
    const ForwardPlan plan(group);
    return {{"kw", tile_channels(isa, plan.conv.blocks(), 8)},
            {"tx", {}, 1, std::min(plan.width, accumulator_limit(isa))},
            {"ty", {}, 1, std::min(plan.height, 8)},
            {"rows", {}, 1, plan.height + 7},
            {"order", {0, 1}}};
}

std::string DirectForward::clash(const Group& group, const Tiling& tiling, const Isa& isa) const {
    const ForwardPlan plan(group);
    const int ty = tiling.at("ty"), rows = tiling.at("rows");
    const int all = divide_up(plan.height, ty) * ty;
    if (rows % ty != 0) return fmt::format("rows={} is no multiple of ty={}", rows, ty);
    if (rows > all) return fmt::format("rows={}, but all are {}", rows, all);
    if (tiling.at("order") == 1 && rows != all)
        return fmt::format("rows={}, but order=1 takes all, {}", rows, all);
    return register_fault(isa, tiling.at("kw"),
                          tiling.at("tx") * ty * plan.window_w * plan.window_h);
}

namespace {

// Whether a large filter stays in the second cache from one task of rows to the next, where panels
// would read the map from beyond it again and again. With 1.25 MiB of it, 16 samples of 14x14 take
// from 512 channels to 512 13 to 16 ms by rows and 21 to 22 by panels, from 1024 to 256 12 to 16
// and 19 to 20; 1 sample 1.0 to 1.2 and 0.9 to 1.1 (Xeon, family 6 model 106, one core).
bool keeps_filter(const ForwardPlan& plan, int batch, int64_t l2_bytes) {
    const ConvShape& conv = plan.conv;
    const double map = 4.0 * batch * conv.channels * conv.height * conv.width;
    const auto cache = static_cast<double>(l2_bytes);
    return plan.filter_bytes() < cache && map > cache;
}

std::vector<Tiling> forward_tilings(const Group& group, const Isa& isa, int64_t l2_bytes) {
    ForwardPlan plan(group);
    std::vector<Tiling> tilings;
    const bool large_filter = plan.filter_bytes() > 1e6 && plan.conv.blocks() >= 8;
    const bool rows_first = keeps_filter(plan, group.batch, l2_bytes);
    for (const RegisterTile& tile : tiles_of(plan, group, isa)) {
        const auto add = [&](int rows, int order) {
            tilings.push_back({{{"kw", tile.channels},
                                {"tx", tile.x},
                                {"ty", tile.y},
                                {"rows", rows},
                                {"order", order}}});
        };
        const auto add_panels = [&] { add(divide_up(plan.height, tile.y) * tile.y, 1); };
        if (large_filter && !rows_first) add_panels();
        for (int rows : row_choices(plan, group.batch, tile.y)) add(rows, 0);
        if (large_filter && rows_first) add_panels();
    }
    return tilings;
}

}  // namespace

std::vector<Tiling> DirectForward::tilings(const Group& group, const Isa& isa) const {
    return forward_tilings(group, isa, Machine().l2_bytes);
}

Tiling DirectForward::default_tiling(const Group& group, const Isa& isa,
                                     const Machine& machine) const {
    return forward_tilings(group, isa, machine.l2_bytes).at(0);
}

double DirectForward::cost(const Group& group, const Tiling& tiling, const Isa& isa,
                           const Machine& machine) const {
    ForwardPlan plan(group);
    int kw = tiling.at("kw"), tx = tiling.at("tx"), ty = tiling.at("ty"), rows = tiling.at("rows");
    int positions = tx * ty * plan.window_w * plan.window_h;
    double ideal = tile_registers(isa, kw, positions) / 2.0;
    double covered =
        static_cast<double>(divide_up(plan.width, tx) * tx) * (divide_up(plan.height, ty) * ty);
    double efficiency =
        ideal / step_cycles(isa, kw, positions) * plan.width * plan.height / covered;
    double tasks = tiling.at("order") == 1 ? divide_up(plan.conv.out_channels, kw)
                                           : 1.0 * group.batch * divide_up(plan.height, rows);
    double panel = plan.filter_bytes() * kw / (plan.conv.blocks() * 16.0);
    double spill =
        tiling.at("order") == 0 && plan.filter_bytes() > static_cast<double>(machine.l2_bytes)
            ? 1.5
            : 1.0;
    if (panel > static_cast<double>(machine.l2_bytes)) spill *= 1.2;
    double staging = plan.staged ? 1 + 0.5 / (plan.conv.blocks() * plan.conv.taps()) : 1.0;
    return roofline(machine, isa, group.batch * plan.conv.multiply_adds() * spill * staging,
                    0.92 * efficiency, traffic_bytes(group), tasks);
}

std::vector<Func> DirectForward::build(KernelContext& context, const Tiling& tiling) const {
    ForwardPlan plan(context.group());
    const ConvShape& conv = plan.conv;
    const int kw = tiling.at("kw"), tx = tiling.at("tx"), ty = tiling.at("ty"),
              rows = tiling.at("rows");
    const int vector = std::min(kw, 16);

    // Algorithm.
    Var k("k"), x("x"), y("y"), n("n");
    Func filter = context.operand(1);  // (lane, c, kx, ky, block)
    Func input = context.operand(0);   // (c, x, y, n)
    Func source = plan.staged
                      ? with_border(input, conv.width, conv.height, conv.pad_left, conv.pad_top)
                      : input;
    RDom r(0, conv.filter_channels(), 0, conv.kernel_w, 0, conv.kernel_h, "r");
    Func accumulator("accumulator");
    accumulator(k, x, y, n) = 0.0F;
    // A tile that hangs over the edge reads the last position again where no staged copy goes on.
    auto inside = [&](const Var& v, int tile, int extent, int last) {
        return plan.staged || extent % tile == 0 ? Expr(v) : Halide::min(Halide::likely(v), last);
    };
    Expr px = inside(x, tx, plan.width, conv.out_width - 1);
    Expr py = inside(y, rows, plan.height, conv.out_height - 1);
    Expr ix = px * conv.stride_w + r.y * conv.dilation_w;
    Expr iy = py * conv.stride_h + r.z * conv.dilation_h;
    if (plan.guarded) {
        ix -= conv.pad_left, iy -= conv.pad_top;
        r.where(ix >= 0 && ix < conv.width && iy >= 0 && iy < conv.height);
        ix = Halide::clamp(ix, 0, conv.width - 1), iy = Halide::clamp(iy, 0, conv.height - 1);
    }
    const auto channel = [&](const Expr& lane, const Expr& i) {
        return channel_in_group(conv, lane, i, conv.readers(), conv.filter_channels());
    };
    Func spread("spread");  // (lane + vector * c, vector of output channels, x, y, n)
    Var s("s"), v("v");
    spread(s, v, x, y, n) = source(channel(v * vector + s % vector, s / vector), x, y, n);
    accumulator(k, x, y, n) +=
        filter(k % 16, r.x, r.y, r.z, k / 16) *
        (plan.spreads ? spread(k % vector + vector * r.x, k / vector, ix, iy, n)
                      : source(channel(k, r.x), ix, iy, n));
    Func out = context.finish(accumulator);

    // Schedule.
    std::vector<Var> at = out.args();
    Var ok = at[0], ox = at[1], oy = at[2], on = at[3];
    Var ko("ko"), kt("kt"), kb("kb"), kl("kl"), xo("xo"), xi("xi"), yo("yo"), yt("yt"), yi("yi"),
        task("task");
    split_guarded(out, ok, ko, kt, kw, conv.out_channels);
    out.split(kt, kb, kl, vector, TailStrategy::RoundUp);
    split_guarded(out, ox, xo, xi, tx, plan.width);
    split_guarded(out, oy, yo, yt, rows, plan.height);
    out.split(yt, yt, yi, ty, TailStrategy::RoundUp);
    if (tiling.at("order") == 1) {
        out.reorder(kl, kb, xi, yi, xo, yt, yo, on, ko).parallel(ko);
    } else {
        // All channels of a tile of positions before the next, as they lie in memory.
        if (conv.has_lane_groups()) {
            out.reorder(kl, kb, xi, yi, ko, xo, yt, yo, on);
        } else {
            out.reorder(kl, kb, xi, yi, xo, yt, ko, yo, on);
        }
        out.fuse(yo, on, task).parallel(task);
    }
    out.vectorize(kl).unroll(kb).unroll(xi).unroll(yi);

    const bool is_channel_inner = conv.has_lane_groups() && tiling.at("order") == 0;
    accumulator.compute_at(out, is_channel_inner ? ko : xo)
        .bound_extent(k, kw)
        .bound_extent(x, tx * plan.window_w)
        .bound_extent(y, ty * plan.window_h)
        .vectorize(k, vector)
        .unroll(k)
        .unroll(x)
        .unroll(y);
    Halide::Stage update = accumulator.update();
    update.reorder(k, x, y, r.x, r.y, r.z).vectorize(k, vector).unroll(k).unroll(x).unroll(y);
    // The loop over rows stays: of a sum that is all written out, LLVM chooses which products it
    // fuses, and may choose otherwise in another tile.
    const bool has_rows = conv.kernel_h > 1;
    if (conv.is_depthwise()) {  // neighbours share what their taps read
        if (has_rows && conv.kernel_w <= kUnrolledTaps) update.unroll(r.y);
        if (plan.guarded) {
            update.reorder(k, x, r.x, r.y, y, r.z).never_partition_all();
            out.never_partition_all().partition(xo, Halide::Partition::Auto);
        }
    } else if (plan.spreads) {
        // A vector of the input, once loaded, serves all that its groups read.
        update.reorder(k, x, y, r.y, r.x, r.z);
        if (has_rows && conv.filter_channels() * conv.kernel_w <= kUnrolledSteps)
            update.unroll(r.y).unroll(r.x);
        spread.compute_at(accumulator, r.z)
            .bound_extent(s, vector * conv.filter_channels())
            .bound_extent(v, kw / vector)
            .bound_extent(x, plan.input_columns(tx))
            .bound_extent(y, (ty * plan.window_h - 1) * conv.stride_h + 1)
            .vectorize(s, vector * std::min(conv.filter_channels(), 4))
            .unroll(s)
            .unroll(v)
            .unroll(x)
            .unroll(y);
    } else if (conv.dilation_w == 1 && conv.groups == 1) {
        // Channels and kernel columns are contiguous, in the filter and in the input.
        RVar columns("columns");
        update.fuse(r.x, r.y, columns);
    }

    if (plan.staged) {
        Var sc = source.args()[0], sx = source.args()[1], sy = source.args()[2],
            sn = source.args()[3];
        if (tiling.at("order") == 1) {
            source.compute_root().fuse(sy, sn, task).parallel(task);
            source.bound_storage(sn, context.group().batch);
        } else {
            source.compute_at(out, task);
        }
        source.bound_storage(sx, plan.input_columns(divide_up(plan.width, tx) * tx));
        source.bound_storage(
            sy, plan.input_rows(divide_up(tiling.at("order") == 1 ? plan.height : rows, ty) * ty));
        vectorize_staging(source, sc, sx, conv.channels);
        source.never_partition_all();
    }
    return {out};
}

}  // namespace emulsion
