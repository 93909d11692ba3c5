// Tiles of depthwise convolutions, and what they read.
//
// A tiling is
//     channels    of a block
//     tw, th      positions of it
#include "schedules/gpu/depthwise/gpu_depthwise.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/graph/limits.h"
#include "compiler/ops/conv2d.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/window_lowering.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/common/anchor.h"
#include "schedules/common/funcs.h"
#include "schedules/common/group_work.h"
#include "schedules/gpu/common/elements.h"
#include "schedules/gpu/depthwise/depthwise_shape.h"
#include "schedules/gpu/product/block_product.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::TailStrategy;
using Halide::Var;

namespace {

constexpr int kMostTaps = 49;  // which are written out; of more, a row of them
constexpr int kMostTapsInRow = 49;
constexpr int kMostThreads = 256;
constexpr int kFewestThreads = 32;

// One axis of a tile: which cells of the map `size` results need, and where a tap lies among them.
struct Axis {
    int results = 0, cells = 0;  // of a sample
    int taps = 1, stride = 1, dilation = 1, before = 0;
    bool is_gradient = false;

    // Cells from that of the first tap to that of the last, of results that lie side by side.
    int reach() const { return (taps - 1) * dilation; }
    int staged(int size) const {
        if (!is_gradient) return (size - 1) * stride + reach() + 1;
        return last(size) - first() + 1;
    }
    // The first staged cell of a tile that begins at result `begin`, a multiple of the stride in
    // gradients.
    Expr begin(const Expr& begin) const {
        return is_gradient ? begin / stride + first() : begin * stride - before;
    }
    // Where tap `tap` of the tile's result `at` lies among the staged cells, and whether it is
    // read.
    Position place(const Expr& at, const Expr& tap) const {
        if (!is_gradient) return {at * stride + tap * dilation, Halide::Internal::const_true()};
        const Expr start = Halide::Internal::simplify(at + (before - tap * dilation));
        if (stride == 1) return {start - first(), Halide::Internal::const_true()};
        return {Halide::Internal::simplify(start / stride - first()), start % stride == 0};
    }

  private:
    // Of gradients: window positions beside that of a tile's first cell.
    int first() const { return floor_div(before - reach()); }
    int last(int size) const { return floor_div(size - 1 + before); }
    int floor_div(int value) const {
        return value >= 0 ? value / stride : -((stride - 1 - value) / stride);
    }
};

struct Shape {
    Axis x, y;
    int channels = 0;    // of the result
    int multiplier = 1;  // results that read a channel
    int taps() const { return x.taps * y.taps; }
    bool has_vectors() const { return channels % kDeviceVector == 0; }
    int lanes() const { return has_vectors() ? kDeviceVector : 1; }
};

struct Tile {
    int channels, tw, th;
    explicit Tile(const Tiling& tiling)
        : channels(tiling.at("channels")), tw(tiling.at("tw")), th(tiling.at("th")) {}
    int threads(const Shape& shape) const { return channels / shape.lanes() * tw * th; }
    int staged(const Shape& shape) const { return shape.x.staged(tw) * shape.y.staged(th); }
};

Axis axis_of(const Group& group, int axis) {
    const auto index = static_cast<size_t>(axis);
    const auto& conv = *anchor_as<ConvAttributes>(group);
    const std::vector<int64_t>& w = group.anchor_input(1).shape;
    Axis result;
    result.results = to_int(group.anchor_output().shape[index + 1]);
    result.cells = to_int(group.anchor_input(0).shape[index + 1]);
    result.taps = to_int(w[index + 2]);
    result.stride = to_int(conv.stride[index]);
    result.dilation = to_int(conv.dilation[index]);
    result.before = to_int(conv.window(w[2], w[3]).before(axis));
    result.is_gradient = anchor_as<Conv2dBackwardData>(group) != nullptr;
    return result;
}

Shape shape_of(const Group& group) {
    return {axis_of(group, 1), axis_of(group, 0), to_int(group.anchor_output().shape[0]),
            depthwise_multiplier(group.anchor_input(0), group.anchor_output())};
}

// The tile's cells of the map, over (channel of the result, cell, tile in x, tile in y, n); zero in
// the border.
Func staged_map(const KernelContext& context, const Shape& shape, const Tile& tile) {
    const Var c("c"), cell("cell"), bx("bx"), by("by"), n("n");
    const int width = shape.x.staged(tile.tw);
    const Expr x = shape.x.begin(bx * tile.tw) + cell % width,
               y = shape.y.begin(by * tile.th) + cell / width;
    const Expr is_inside = x >= 0 && x < shape.x.cells && y >= 0 && y < shape.y.cells;
    Expr channel = channel_in(c, shape.channels);
    if (shape.multiplier > 1) channel = channel / shape.multiplier;
    Func map("map");
    map(c, cell, bx, by, n) =
        value_or_zero(is_inside, context.operand(0)(channel, Halide::clamp(x, 0, shape.x.cells - 1),
                                                    Halide::clamp(y, 0, shape.y.cells - 1), n));
    return map;
}

// The sums over the taps, in their order.
struct TapSums {
    Func result{"result"};
    Func rows{"rows"};  // of a loop over rows of taps, where they are many
};

TapSums sums_of(const KernelContext& context, const Shape& shape, const Tile& tile,
                const Func& map) {
    const auto* gradient = anchor_as<Conv2dBackwardData>(context.group());
    const bool is_rotated = gradient != nullptr && gradient->rotated;
    const int lanes = static_cast<int>(kBlock);
    const Func w = context.operand(1);
    const Var c("c"), x("x"), y("y"), n("n");
    const Expr tx = x % tile.tw, ty = y % tile.th;
    const auto add_row = [&](Expr sum, const Expr& ky) {
        for (int kx = 0; kx < shape.x.taps; kx++) {
            const Position px = shape.x.place(tx, kx), py = shape.y.place(ty, ky);
            const Expr value =
                map(c, px.at + shape.x.staged(tile.tw) * py.at, x / tile.tw, y / tile.th, n);
            const Expr weight = w(c % lanes, 0, is_rotated ? shape.x.taps - 1 - kx : kx,
                                  is_rotated ? shape.y.taps - 1 - ky : ky, c / lanes);
            const Expr term = value_or_zero(px.inside && py.inside, value) * weight;
            sum = sum.defined() ? sum + term : term;
        }
        return sum;
    };
    TapSums sums;
    if (shape.taps() > kMostTaps) {
        const Halide::RDom r(0, shape.y.taps, "r");
        sums.rows(c, x, y, n) = 0.0F;
        sums.rows(c, x, y, n) = add_row(sums.rows(c, x, y, n), r);
        sums.result(c, x, y, n) = sums.rows(c, x, y, n);
        return sums;
    }
    Expr sum;
    for (int ky = 0; ky < shape.y.taps; ky++) sum = add_row(sum, ky);
    sums.result(c, x, y, n) = sum;
    return sums;
}

// Deals results to blocks and threads; returns the loop over blocks.
Var schedule_tiles(Func out, const Shape& shape, const Tile& tile) {
    const std::vector<Var> axes = out.args();
    const Var cq("cq"), cv("cv"), co("co"), ci("ci"), xo("xo"), xi("xi"), yo("yo"), yi("yi"),
        row("row"), thread("thread"), line("line"), plane("plane"), block("block");
    out.split(axes[0], cq, cv, shape.lanes(), TailStrategy::RoundUp)
        .split(cq, co, ci, tile.channels / shape.lanes(), TailStrategy::GuardWithIf)
        .split(axes[1], xo, xi, tile.tw, TailStrategy::GuardWithIf)
        .split(axes[2], yo, yi, tile.th, TailStrategy::GuardWithIf)
        .reorder({cv, ci, xi, yi, co, xo, yo, axes[3]})
        .fuse(ci, xi, row)
        .fuse(row, yi, thread)
        .fuse(co, xo, line)
        .fuse(line, yo, plane)
        .fuse(plane, axes[3], block)
        .vectorize(cv)
        .gpu_threads(thread)
        .gpu_blocks(block);
    return block;
}

}  // namespace

bool GpuDepthwise::applies(const Group& group, const Isa& isa) const {
    if (anchor_as<Conv2d>(group) == nullptr && anchor_as<Conv2dBackwardData>(group) == nullptr)
        return false;
    // The gradient of a channel that several filters read is a sum over them.
    const bool is_gradient = anchor_as<Conv2dBackwardData>(group) != nullptr;
    if (!is_depthwise(*anchor_as<ConvAttributes>(group), group.anchor_input(0)) ||
        (is_gradient && group.anchor_output().shape[0] != group.anchor_input(0).shape[0]))
        return false;
    return has_shape_of_anchor(group, /*batched=*/true) &&
           group.epilogue_window() == std::vector<int64_t>{1, 1} &&
           group.anchor_input(1).shape[3] <= kMostTapsInRow && !tilings(group, isa).empty();
}

TilingSpace GpuDepthwise::space(const Group&, const Isa&) const {
    return {{"channels", {4, 8, 16, 32}}, {"tw", {}, 1, 32}, {"th", {}, 1, 32}};
}

std::string GpuDepthwise::clash(const Group& group, const Tiling& tiling, const Isa& isa) const {
    const Shape shape = shape_of(group);
    const Tile tile(tiling);
    const int threads = tile.threads(shape);
    if (threads > isa.block_threads || threads < kFewestThreads) {
        return fmt::format("a block of {} threads, but it may have {} to {}", threads,
                           kFewestThreads, isa.block_threads);
    }
    if (shape.x.is_gradient && (tile.tw % shape.x.stride != 0 || tile.th % shape.y.stride != 0)) {
        return fmt::format("tw={} and th={} are no multiples of the strides {} and {}", tile.tw,
                           tile.th, shape.x.stride, shape.y.stride);
    }
    const int64_t bytes = int64_t{4} * tile.channels * tile.staged(shape);
    if (bytes <= isa.shared_bytes) return "";
    return fmt::format("{} bytes of shared memory, but a block may have {}", bytes,
                       isa.shared_bytes);
}

// Those that stage and compute the fewest positions come first, of whole pieces of cache lines.
std::vector<Tiling> GpuDepthwise::tilings(const Group& group, const Isa& isa) const {
    const Shape shape = shape_of(group);
    std::vector<std::pair<int64_t, Tiling>> found;
    for (int channels : {32, 16, 8, 4}) {
        // Narrower ones where the map is, or where wider ones stage too much.
        const bool is_narrow = channels == 8 && shape.channels <= 8;
        if (channels <= 8 && !is_narrow && !found.empty()) continue;
        for (int tw : {16, 14, 8, 7, 4, 6, 3}) {
            for (int th : {8, 7, 4, 2, 6, 3}) {
                const Tiling tiling{{{"channels", channels}, {"tw", tw}, {"th", th}}};
                const Tile tile(tiling);
                if (tile.threads(shape) > kMostThreads || !clash(group, tiling, isa).empty())
                    continue;
                const int64_t blocks = int64_t{divide_up(shape.channels, channels)} *
                                       divide_up(shape.x.results, tw) *
                                       divide_up(shape.y.results, th);
                found.emplace_back(blocks * channels * (tile.staged(shape) + tw * th), tiling);
            }
        }
    }
    std::stable_sort(found.begin(), found.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<Tiling> tilings;
    for (size_t i = 0; i < std::min<size_t>(found.size(), 4); i++)
        tilings.push_back(found[i].second);
    return tilings;
}

double GpuDepthwise::cost(const Group& group, const Tiling&, const Isa&, const Machine&) const {
    return device_seconds(1, traffic_bytes(group), static_cast<double>(group.multiply_adds()), 0.2);
}

std::vector<Func> GpuDepthwise::build(KernelContext& context, const Tiling& tiling) const {
    const Shape shape = shape_of(context.group());
    const Tile tile(tiling);
    const Func map = staged_map(context, shape, tile);
    TapSums sums = sums_of(context, shape, tile, map);
    Func values = context.finish(sums.result), out = values;
    if (values.outputs() > 1) out = stored_copy(values, "stored");
    const Var block = schedule_tiles(out, shape, tile);
    if (values.outputs() > 1) {
        values.compute_at(out, Var("thread"));
        if (shape.has_vectors()) values.vectorize(values.args()[0], kDeviceVector);
    }
    if (sums.rows.defined()) {
        sums.rows.compute_at(out, Var("thread")).store_in(Halide::MemoryType::Register);
        if (shape.has_vectors()) {
            const Var c = sums.rows.args()[0];
            sums.rows.vectorize(c, kDeviceVector).update().vectorize(c, kDeviceVector);
        }
    }
    const std::vector<Var> axes = map.args();
    Func(map)
        .compute_at(out, block)
        .bound_extent(axes[2], 1)
        .bound_extent(axes[3], 1)
        .bound_extent(axes[4], 1);
    stage_panel(map, axes[0], tile.channels, axes[1], tile.staged(shape), tile.threads(shape));
    return {out};
}

}  // namespace emulsion
