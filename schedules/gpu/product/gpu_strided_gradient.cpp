// Classes of cells, their taps, and the two kernels of a strided gradient.
#include "schedules/gpu/product/gpu_strided_gradient.h"

#include <algorithm>

#include "compiler/graph/limits.h"
#include "compiler/ops/conv2d.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/common/anchor.h"
#include "schedules/common/group_work.h"
#include "schedules/gpu/common/elements.h"
#include "schedules/gpu/product/block_product.h"
#include "schedules/gpu/product/product_operands.h"
#include "schedules/gpu/product/tile_sum.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::Var;

namespace {

// One axis. Cell stride * i + r, of class r, is read by taps first + stride * j of window positions
// i + offset - j.
struct Axis {
    int cells = 0, positions = 0, taps = 0, stride = 1, before = 0;
    int class_cells() const { return divide_up(cells, stride); }
    int most_taps() const { return divide_up(taps, stride); }
    Expr first(const Expr& r) const { return (r + before) % stride; }
    Expr tap(const Expr& r, const Expr& j) const { return first(r) + stride * j; }
    Expr has_tap(const Expr& r, const Expr& j) const { return tap(r, j) < taps; }
    Position position(const Expr& r, const Expr& i, const Expr& j) const {
        const Expr at = i + (r + before) / stride - j;
        return {Halide::clamp(at, 0, positions - 1), at >= 0 && at < positions};
    }
};

struct Classes {
    Axis x, y;
    int count() const { return x.stride * y.stride; }
    int64_t cells() const { return int64_t{x.class_cells()} * y.class_cells(); }  // of each
};

Axis axis_of(const Group& group, const Conv2dBackwardData& op, int axis) {
    const auto index = static_cast<size_t>(axis);
    const std::vector<int64_t>& w = group.anchor_input(1).shape;
    Axis result;
    result.cells = to_int(group.anchor_output().shape[index + 1]);
    result.positions = to_int(group.anchor_input(0).shape[index + 1]);
    result.taps = to_int(w[index + 2]);
    result.stride = to_int(op.stride[index]);
    result.before = to_int(op.window(w[2], w[3]).before(axis));
    return result;
}

Classes classes_of(const Group& group) {
    const auto& op = *anchor_as<Conv2dBackwardData>(group);
    return {axis_of(group, op, 1), axis_of(group, op, 0)};
}

// The classes' products, over (channel, cell of the class in all samples, class), as a kernel of
// their own.
Func partial_sums(const KernelContext& context, const Product& product, const Classes& classes,
                  const BlockTile& tile) {
    const Operands operands(context, product);
    const Var index("class");
    TileSum sum(product, tile, to_int(round_up(product.channels, tile.bk)), classes.x.most_taps(),
                classes.y.most_taps(), {index});
    const Expr rx = index % classes.x.stride, ry = index / classes.x.stride;
    const auto tap = [&](const Axis& axis, const Expr& rest, const Expr& j) {
        return Halide::min(axis.tap(rest, j), axis.taps - 1);
    };
    const int width = classes.x.class_cells(), height = classes.y.class_cells();
    const Expr n = Halide::min(sum.p / (width * height), context.samples() - 1);
    sum.r.where(classes.x.has_tap(rx, sum.r.y) && classes.y.has_tap(ry, sum.r.z));
    sum.define(
        operands.filter(sum.m, sum.c, tap(classes.x, rx, sum.kx), tap(classes.y, ry, sum.ky)),
        operands.map_at(sum.c, classes.x.position(rx, sum.p % width, sum.kx),
                        classes.y.position(ry, sum.p / width % height, sum.ky), n,
                        product.has_tail(tile)));
    Func partial("partial");
    partial(sum.m, sum.p, index) = sum.value();
    sum.schedule(partial);
    return partial;
}

}  // namespace

bool GpuStridedGradient::applies(const Group& group, const Isa&) const {
    const auto* op = anchor_as<Conv2dBackwardData>(group);
    if (op == nullptr || op->groups > 1) return false;
    if (op->dilation != std::vector<int64_t>{1, 1} || classes_of(group).count() == 1) return false;
    return has_shape_of_anchor(group, /*batched=*/true) &&
           group.epilogue_window() == std::vector<int64_t>{1, 1} &&
           can_be_counted(scratch(group, {}));
}

TilingSpace GpuStridedGradient::space(const Group& group, const Isa&) const {
    return block_space(product_of(group).channels);
}

std::string GpuStridedGradient::clash(const Group&, const Tiling& tiling, const Isa& isa) const {
    return block_clash(block_tile(tiling), isa);
}

std::vector<Tiling> GpuStridedGradient::tilings(const Group& group, const Isa& isa) const {
    const Product product = product_of(group);
    const Classes classes = classes_of(group);
    return block_tilings(product.m, classes.cells() * group.batch, classes.count(),
                         piece_of(product.channels), isa);
}

double GpuStridedGradient::multiply_adds(const Group& group) const {
    const Product product = product_of(group);
    const Classes classes = classes_of(group);
    // Each tap reaches the cells of one class.
    return product.multiply_adds(group.batch) / classes.count();
}

double GpuStridedGradient::cost(const Group& group, const Tiling& tiling, const Isa&,
                                const Machine&) const {
    const Classes classes = classes_of(group);
    const double efficiency = block_efficiency(block_tile(tiling), product_of(group).m,
                                               classes.cells() * group.batch, classes.count());
    return device_seconds(2, traffic_bytes(group) + scratch_bytes(scratch(group, tiling)),
                          multiply_adds(group), efficiency);
}

std::vector<Scratch> GpuStridedGradient::scratch(const Group& group, const Tiling&) const {
    const Classes classes = classes_of(group);
    return {{"partial", {product_of(group).m, classes.cells() * group.batch, classes.count()}}};
}

std::vector<Func> GpuStridedGradient::build(KernelContext& context, const Tiling& tiling) const {
    const Group& group = context.group();
    const Product product = product_of(group);
    const Classes classes = classes_of(group);
    const BlockTile tile = block_tile(tiling);
    const Func partial = partial_sums(context, product, classes, tile);

    const Var c("c"), x("x"), y("y"), n("n");
    Func dx("dx");
    const int width = classes.x.class_cells(), height = classes.y.class_cells();
    dx(c, x, y, n) = partial(c, x / classes.x.stride + width * (y / classes.y.stride + height * n),
                             x % classes.x.stride + classes.x.stride * (y % classes.y.stride));
    const Func out = schedule_stores(context.finish(dx), std::min(256, context.isa().block_threads),
                                     has_vectors(group.anchor_output()));
    return {out, partial};
}

}  // namespace emulsion
