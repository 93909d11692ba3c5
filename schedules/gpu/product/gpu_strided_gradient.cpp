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

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::RVar;
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

// The classes' products, over (channel, cell of the class in all samples, class).
struct Partial {
    Var m{"m"}, p{"p"}, index{"class"}, c{"c"}, jx{"jx"}, jy{"jy"};
    Func a{"a"}, ar{"ar"}, b{"b"}, br{"br"}, acc{"acc"}, result{"partial"};
    RDom r;

    Partial(const KernelContext& context, const Product& product, const Classes& classes,
            const BlockTile& tile)
        : r(0, to_int(round_up(product.channels, tile.bk)), 0, classes.x.most_taps(), 0,
            classes.y.most_taps(), "r") {
        const Operands operands(context, product);
        const Expr rx = index % classes.x.stride, ry = index / classes.x.stride;
        const auto tap = [&](const Axis& axis, const Expr& rest, const Expr& j) {
            return Halide::min(axis.tap(rest, j), axis.taps - 1);
        };
        const Expr weight = operands.filter(m, c, tap(classes.x, rx, jx), tap(classes.y, ry, jy));
        const int width = classes.x.class_cells(), height = classes.y.class_cells();
        const Expr n = Halide::min(p / (width * height), context.samples() - 1);
        const Expr value = operands.map_at(c, classes.x.position(rx, p % width, jx),
                                           classes.y.position(ry, p / width % height, jy), n,
                                           product.has_tail(tile));
        b(c, p, jx, jy, index) = value;
        br(c, p, jx, jy, index) = b(c, p, jx, jy, index);
        r.where(classes.x.has_tap(rx, r.y) && classes.y.has_tap(ry, r.z));
        acc(m, p, index) = 0.0F;
        if (product.panel == Panel::rows) {
            a(c, m, jx, jy, index) = weight;
            ar(c, m, jx, jy, index) = a(c, m, jx, jy, index);
            acc(m, p, index) += ar(r.x, m, r.y, r.z, index) * br(r.x, p, r.y, r.z, index);
        } else {
            a(m, c, jx, jy, index) = weight;
            acc(m, p, index) += a(m, r.x, r.y, r.z, index) * br(r.x, p, r.y, r.z, index);
        }
        result(m, p, index) = acc(m, p, index);
    }

    void schedule(const Product& product, const BlockTile& tile) {
        const RVar ko("ko"), ki("ki"), kq("kq"), kv("kv");
        deal_results(result, product.m, tile, product.panel);
        acc.compute_at(result, Var("po"))
            .store_in(Halide::MemoryType::Register)
            .bound_extent(m, tile.bm)
            .bound_extent(p, tile.bp);
        deal_to_threads(acc, m, p, tile, product.panel, {}, {index});
        Halide::Stage update = acc.update();
        update.split(r.x, ko, ki, tile.bk).split(ki, kq, kv, tile.unrolled()).unroll(kv).unroll(kq);
        deal_to_threads(update, m, p, tile, product.panel, {kv, kq}, {ko, r.y, r.z, index});
        stage_operands({a, ar, b, br}, {acc, ko}, {acc, kq}, tile, product.panel);
    }
};

}  // namespace

bool GpuStridedGradient::applies(const Group& group, const Isa&) const {
    const auto* op = anchor_as<Conv2dBackwardData>(group);
    if (op == nullptr || op->groups > 1 || !has_one_shape(group)) return false;
    if (op->dilation != std::vector<int64_t>{1, 1} || classes_of(group).count() == 1) return false;
    const TensorType& result = group.body.type(group.body.results()[0].value);
    return result.batched && result.shape == group.anchor_output().shape &&
           group.epilogue_window() == std::vector<int64_t>{1, 1};
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
    const double partial = 2 * 4.0 * static_cast<double>(scratch(group, tiling)[0].elements());
    return device_seconds(2, traffic_bytes(group) + partial, multiply_adds(group), efficiency);
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
    Partial partial(context, product, classes, tile);
    partial.schedule(product, tile);

    const Var c("c"), x("x"), y("y"), n("n");
    Func dx("dx");
    const int width = classes.x.class_cells(), height = classes.y.class_cells();
    dx(c, x, y, n) =
        partial.result(c, x / classes.x.stride + width * (y / classes.y.stride + height * n),
                       x % classes.x.stride + classes.x.stride * (y % classes.y.stride));
    const Func out = schedule_stores(context.finish(dx), std::min(256, context.isa().block_threads),
                                     has_vectors(group.anchor_output()));
    return {out, partial.result};
}

}  // namespace emulsion
