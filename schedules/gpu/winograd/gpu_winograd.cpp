// Transforms by a thread for each tile and channel, products by blocks of them.
#include "schedules/gpu/winograd/gpu_winograd.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "compiler/graph/limits.h"
#include "compiler/ops/conv2d.h"
#include "compiler/ops/winograd.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/common/anchor.h"
#include "schedules/common/group_work.h"
#include "schedules/common/winograd_transforms.h"
#include "schedules/gpu/common/elements.h"
#include "schedules/gpu/product/block_product.h"
#include "schedules/gpu/product/product_operands.h"
#include "schedules/gpu/product/tile_sum.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::TailStrategy;
using Halide::Var;
using Halide::VarOrRVar;

namespace {

constexpr int kThreads = 128;  // of a transform's block

// The tile with the fewest products, hence bytes too; of two with as many, as on maps of 5 and 6,
// the one that rounds less.
int tile_of(const Product& product) {
    const auto count = [&](int tile) {
        return winograd_products(tile, product.taps_w, product.height, product.width);
    };
    return has_winograd(4, product.taps_w) && count(4) < count(2) ? 4 : 2;
}

// A group's convolution, or gradient as the convolution with the filter turned round, in tiles.
struct Form {
    Product product;  // of the plain definition
    int tile, kernel, points;
    int before_x, before_y;  // cells of the border
    int columns, rows;       // tiles of a sample
    bool is_gradient;
    int batch;

    // REQUIRES: has_tiles(group).
    explicit Form(const Group& group) : product(product_of(group)) {
        kernel = product.taps_w, tile = tile_of(product), points = tile + kernel - 1;
        is_gradient = anchor_as<Conv2dBackwardData>(group) != nullptr;
        const Window window = anchor_as<ConvAttributes>(group)->window(kernel, kernel);
        before_y = to_int(window.before(0)), before_x = to_int(window.before(1));
        if (is_gradient) before_y = kernel - 1 - before_y, before_x = kernel - 1 - before_x;
        columns = divide_up(product.width, tile), rows = divide_up(product.height, tile);
        batch = group.batch;
    }
    int64_t tiles() const { return int64_t{columns} * rows * batch; }
    int64_t squared() const { return int64_t{points} * points; }
    double multiply_adds() const {
        return static_cast<double>(squared() * tiles()) * product.m * product.channels;
    }
    // Where the filter has the tap that stands at `at` in the convolution.
    Expr tap(const Expr& at) const { return is_gradient ? kernel - 1 - at : at; }
    std::vector<Scratch> scratch() const {
        return {{"filters", {product.m, product.channels, squared()}},
                {"data", {product.channels, tiles(), squared()}},
                {"products", {product.m, tiles(), squared()}}};
    }
};

// Whether the group is a convolution or gradient that tiles can be cut of.
bool has_tiles(const Group& group) {
    if (!is_product(group) || group.anchor_output().shape.size() != 3) return false;
    const auto& conv = *anchor_as<ConvAttributes>(group);
    const std::vector<int64_t> one = {1, 1};
    const std::vector<int64_t>& w = group.anchor_input(1).shape;
    return conv.stride == one && conv.dilation == one && w[2] == w[3] && has_winograd(2, w[2]);
}

// Deals the elements along `axes` to threads, each of which runs all of the loops `own`, written
// out. Returns the loop over threads.
Var deal(Func func, const std::vector<Var>& own, const std::vector<Var>& axes) {
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

// A transform of both axes of a square of values, `from` of a side to `form.points`, as a kernel
// of its own over (a, b, point). `value` is over (a, b, x, y).
using Transform = std::function<std::vector<Expr>(const std::vector<Expr>&)>;
Func transformed(const std::string& name, const Form& form, const Func& value, int from,
                 const Transform& transform) {
    const Var a("a"), b("b"), x("x"), i("i"), q("q");
    Func half("half_" + name), result(name);
    half(a, b, x, i) =
        Halide::mux(i, transform(gather(from, [&](int s) -> Expr { return value(a, b, x, s); })));
    const Expr row = q / form.points;
    result(a, b, q) =
        Halide::mux(q % form.points,
                    transform(gather(from, [&](int s) -> Expr { return half(a, b, s, row); })));
    result.bound(q, 0, to_int(form.squared()));
    const Var thread = deal(result, {q}, {a, b});
    const std::vector<Var> axes = value.args();
    half.compute_at(result, thread).unroll(x).unroll(i);
    Func(value).compute_at(result, thread).unroll(axes[2]).unroll(axes[3]);
    return result;
}

Func transformed_filters(const Form& form, const Operands& operands) {
    const WinogradMatrices matrices = winograd_matrices(form.tile, form.kernel);
    const Var m("m"), c("c"), x("x"), y("y");
    Func taps("taps");
    taps(m, c, x, y) = operands.filter(m, c, form.tap(x), form.tap(y));
    return transformed("filters", form, taps, form.kernel, [&](const std::vector<Expr>& values) {
        std::vector<Expr> results;
        for (const auto& row : matrices.filter) results.push_back(combine(row, values));
        return results;
    });
}

// Tiles beyond the last sample repeat it.
Func transformed_map(const Form& form, const KernelContext& context, const Operands& operands) {
    const Var c("c"), t("t"), x("x"), y("y");
    const std::vector<int64_t>& shape = context.group().anchor_input(0).shape;
    const auto position = [](const Expr& at, int64_t cells) {
        return Position{Halide::clamp(at, 0, to_int(cells) - 1), at >= 0 && at < to_int(cells)};
    };
    Func patch("patch");
    patch(c, t, x, y) = operands.map_at(
        c, position(t % form.columns * form.tile + x - form.before_x, shape[2]),
        position(t / form.columns % form.rows * form.tile + y - form.before_y, shape[1]),
        Halide::min(t / (form.columns * form.rows), context.samples() - 1), /*has_tail=*/false);
    return transformed("data", form, patch, form.points, input_transform);
}

Func products_of(const Form& form, const BlockTile& tile, const Func& filters, const Func& data) {
    Product product;
    product.m = form.product.m;
    product.channels = form.product.channels;
    const Var q("q");
    TileSum sum(product, tile, product.channels, 1, 1, {q});
    sum.define(filters(channel_in(sum.m, product.m), sum.c, q),
               data(sum.c, Halide::min(sum.p, to_int(form.tiles()) - 1), q));
    Func products("products");
    products(sum.m, sum.p, q) = sum.value();
    sum.schedule(products);
    return products;
}

// The group's results from the products: a thread makes a tile of a channel.
Func results_of(const Form& form, const KernelContext& context, const Func& products) {
    const Var c("c"), x("x"), y("y"), n("n"), tx("tx"), ty("ty"), i("i"), j("j");
    Func half("half_results");
    half(c, tx, ty, n, j, i) = Halide::mux(
        i, output_transform(gather(form.points,
                                   [&](int s) -> Expr {
                                       return products(c, tx + form.columns * (ty + form.rows * n),
                                                       j + form.points * s);
                                   }),
                            form.tile));
    Func result("result");
    result(c, x, y, n) = Halide::mux(
        x % form.tile, output_transform(gather(form.points,
                                               [&](int s) -> Expr {
                                                   return half(c, x / form.tile, y / form.tile, n,
                                                               s, y % form.tile);
                                               }),
                                        form.tile));
    Func out = context.finish(result);
    const std::vector<Var> at = out.args();
    const Var xi("xi"), yi("yi");
    out.split(at[1], tx, xi, form.tile, TailStrategy::GuardWithIf)
        .split(at[2], ty, yi, form.tile, TailStrategy::GuardWithIf);
    const Var thread = deal(out, {xi, yi}, {at[0], tx, ty, at[3]});
    half.compute_at(out, thread)
        .bound_extent(tx, 1)
        .bound_extent(ty, 1)
        .bound_extent(i, form.tile)
        .unroll(i)
        .unroll(j);
    return out;
}

}  // namespace

double GpuWinograd::relative_error(const Group& group) const {
    return Form(group).points == 4 ? 2e-6 : 2e-5;
}

bool GpuWinograd::applies(const Group& group, const Isa&) const {
    if (!has_tiles(group) || !has_shape_of_anchor(group, /*batched=*/true) ||
        group.epilogue_window() != std::vector<int64_t>{1, 1})
        return false;
    const Form form(group);
    // Whole vectors of results, and whole pieces of the reduction.
    if (form.product.m % kDeviceVector != 0 || form.product.channels % 8 != 0) return false;
    const std::vector<Scratch> scratch = form.scratch();
    return std::all_of(scratch.begin(), scratch.end(),
                       [](const Scratch& s) { return bounded_product(s.extents) > 0; });
}

TilingSpace GpuWinograd::space(const Group& group, const Isa&) const {
    return block_space(product_of(group).channels);
}

std::string GpuWinograd::clash(const Group& group, const Tiling& tiling, const Isa& isa) const {
    const BlockTile tile = block_tile(tiling);
    const int channels = product_of(group).channels;
    if (channels % tile.bk != 0)
        return fmt::format("bk={} does not divide {} channels", tile.bk, channels);
    return block_clash(tile, isa);
}

std::vector<Tiling> GpuWinograd::tilings(const Group& group, const Isa& isa) const {
    const Form form(group);
    return block_tilings(form.product.m, form.tiles(), form.squared(),
                         looping_piece(form.product.channels, 1), isa);
}

double GpuWinograd::cost(const Group& group, const Tiling& tiling, const Isa&,
                         const Machine&) const {
    const Form form(group);
    double bytes = traffic_bytes(group);
    for (const Scratch& scratch : form.scratch())
        bytes += 2 * 4.0 * static_cast<double>(scratch.elements());
    const double efficiency =
        block_efficiency(block_tile(tiling), form.product.m, form.tiles(), form.squared());
    return device_seconds(4, bytes, form.multiply_adds(), efficiency);
}

double GpuWinograd::multiply_adds(const Group& group) const { return Form(group).multiply_adds(); }

std::vector<Scratch> GpuWinograd::scratch(const Group& group, const Tiling&) const {
    return Form(group).scratch();
}

std::vector<Func> GpuWinograd::build(KernelContext& context, const Tiling& tiling) const {
    const Form form(context.group());
    const Operands operands(context, form.product);
    const Func filters = transformed_filters(form, operands);
    const Func data = transformed_map(form, context, operands);
    const Func products = products_of(form, block_tile(tiling), filters, data);
    return {results_of(form, context, products), filters, data, products};
}

}  // namespace emulsion
