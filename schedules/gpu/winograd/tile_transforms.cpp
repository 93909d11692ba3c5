// See tile_transforms.h.
#include "schedules/gpu/winograd/tile_transforms.h"

#include <cmath>

#include "compiler/graph/limits.h"
#include "compiler/ops/winograd.h"
#include "schedules/common/group_work.h"
#include "schedules/common/winograd_transforms.h"
#include "schedules/gpu/common/elements.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::TailStrategy;
using Halide::Var;
using Halide::VarOrRVar;

namespace {

constexpr int kThreads = 128;                       // of a block
constexpr int64_t kMostScratch = int64_t{1} << 30;  // bytes

int best_tile(int kernel, int height, int width) {
    const auto count = [&](int tile) { return winograd_products(tile, kernel, height, width); };
    return has_winograd(4, kernel) && count(4) < count(2) ? 4 : 2;
}

}  // namespace

MapTiles::MapTiles(int kernel_size, int height, int width, int samples)
    : tile(best_tile(kernel_size, height, width)),
      kernel(kernel_size),
      points(tile + kernel - 1),
      columns(divide_up(width, tile)),
      rows(divide_up(height, tile)),
      batch(samples) {}

bool has_tiles(const ConvAttributes& conv, int64_t kernel_height, int64_t kernel_width) {
    const std::vector<int64_t> one = {1, 1};
    return conv.groups == 1 && conv.stride == one && conv.dilation == one &&
           kernel_height == kernel_width && has_winograd(2, kernel_width);
}

bool can_be_held(const std::vector<Scratch>& scratch) {
    return can_be_counted(scratch, kMostScratch / int64_t{sizeof(float)});
}

double rounding_bound(const MapTiles& tiles, int64_t terms) {
    const double of_one = tiles.points == 4 ? 1e-7 : 1.2e-6, of_transforms = 4;
    return of_one * (of_transforms + std::sqrt(static_cast<double>(terms)));
}

Position cell_at(const Expr& at, int64_t cells) {
    return {Halide::clamp(at, 0, as_int(cells - 1)), at >= 0 && at < as_int(cells)};
}

Var deal_tiles(Func func, const std::vector<Var>& own, const std::vector<Var>& axes) {
    const Var block("block"), thread("thread");
    std::vector<VarOrRVar> order(own.begin(), own.end());
    order.insert(order.end(), axes.begin(), axes.end());
    func.reorder(order);
    Var flat = axes[0];
    for (size_t i = 1; i < axes.size(); i++) {
        const Var fused("flat" + std::to_string(i));
        func.fuse(flat, axes[i], fused);
        flat = fused;
    }
    func.split(flat, block, thread, kThreads, TailStrategy::GuardWithIf)
        .gpu_blocks(block)
        .gpu_threads(thread);
    for (const Var& axis : own) func.unroll(axis);
    return thread;
}

Func transformed(const std::string& name, int points, const Func& value, int from,
                 const Transform& transform) {
    const Var a("a"), b("b"), x("x"), i("i"), q("q");
    Func half("half_" + name), result(name);
    half(a, b, x, i) =
        Halide::mux(i, transform(gather(from, [&](int s) -> Expr { return value(a, b, x, s); })));
    result(a, b, q) = Halide::mux(
        q % points,
        transform(gather(from, [&](int s) -> Expr { return half(a, b, s, q / points); })));
    result.bound(q, 0, points * points);
    const Var thread = deal_tiles(result, {q}, {a, b});
    const std::vector<Var> axes = value.args();
    half.compute_at(result, thread).unroll(x).unroll(i);
    Func(value).compute_at(result, thread).unroll(axes[2]).unroll(axes[3]);
    return result;
}

Func transformed_map(const MapTiles& tiles, int before_x, int before_y,
                     const KernelContext& context) {
    const Var c("c"), t("t"), x("x"), y("y");
    const std::vector<int64_t>& shape = context.group().anchor_input(0).shape;
    const Position px = cell_at(tiles.x(t) + x - before_x, shape[2]);
    const Position py = cell_at(tiles.y(t) + y - before_y, shape[1]);
    Func patch("patch");
    patch(c, t, x, y) = value_or_zero(
        px.inside && py.inside,
        context.operand(0)(c, px.at, py.at, Halide::min(tiles.n(t), context.samples() - 1)));
    return transformed("data", tiles.points, patch, tiles.points, input_transform);
}

}  // namespace emulsion
