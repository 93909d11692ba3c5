// Transforms by a thread for each tile and channel, products by blocks of them.
#include "schedules/gpu/winograd/gpu_winograd.h"

#include <fmt/format.h>

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
#include "schedules/gpu/winograd/tile_transforms.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::TailStrategy;
using Halide::Var;

namespace {

// A group's convolution, or gradient as the convolution with the filter turned round, in tiles.
struct Form {
    Product product;  // of the plain definition
    MapTiles tiles;
    int before_x, before_y;  // cells of the border
    bool is_gradient;

    // REQUIRES: can_be_cut(group).
    explicit Form(const Group& group)
        : product(product_of(group)),
          tiles(product.taps_w, product.height, product.width, group.batch) {
        is_gradient = anchor_as<Conv2dBackwardData>(group) != nullptr;
        const int kernel = tiles.kernel;
        const Window window = anchor_as<ConvAttributes>(group)->window(kernel, kernel);
        before_y = to_int(window.before(0)), before_x = to_int(window.before(1));
        if (is_gradient) before_y = kernel - 1 - before_y, before_x = kernel - 1 - before_x;
    }
    double multiply_adds() const {
        return 1.0 * tiles.squared() * static_cast<double>(tiles.count()) * product.m *
               product.channels;
    }
    // Where the filter has the tap that stands at `at` in the convolution.
    Expr tap(const Expr& at) const { return is_gradient ? tiles.kernel - 1 - at : at; }
    std::vector<Scratch> scratch() const {
        return {{"filters", {product.m, product.channels, tiles.squared()}},
                {"data", {product.channels, tiles.count(), tiles.squared()}},
                {"products", {product.m, tiles.count(), tiles.squared()}}};
    }
};

// Whether the group is a convolution or gradient that tiles can be cut of.
bool can_be_cut(const Group& group) {
    if (!is_product(group) || group.anchor_output().shape.size() != 3) return false;
    const std::vector<int64_t>& w = group.anchor_input(1).shape;
    return has_tiles(*anchor_as<ConvAttributes>(group), w[2], w[3]);
}

Func transformed_filters(const Form& form, const Operands& operands) {
    const WinogradMatrices matrices = winograd_matrices(form.tiles.tile, form.tiles.kernel);
    const Var m("m"), c("c"), x("x"), y("y");
    Func taps("taps");
    taps(m, c, x, y) = operands.filter(m, c, form.tap(x), form.tap(y));
    return transformed("filters", form.tiles.points, taps, form.tiles.kernel,
                       [&](const std::vector<Expr>& values) {
                           std::vector<Expr> results;
                           for (const auto& row : matrices.filter)
                               results.push_back(combine(row, values));
                           return results;
                       });
}

Func products_of(const Form& form, const BlockTile& tile, const Func& filters, const Func& data) {
    Product product;
    product.m = form.product.m;
    product.channels = form.product.channels;
    const Var q("q");
    TileSum sum(product, tile, product.channels, 1, 1, {q});
    sum.define(filters(channel_in(sum.m, product.m), sum.c, q),
               data(sum.c, Halide::min(sum.p, to_int(form.tiles.count()) - 1), q));
    Func products("products");
    products(sum.m, sum.p, q) = sum.value();
    sum.schedule(products);
    return products;
}

// The group's results from the products: a thread makes a tile of a channel.
Func results_of(const Form& form, const KernelContext& context, const Func& products) {
    const MapTiles& tiles = form.tiles;
    const Var c("c"), x("x"), y("y"), n("n"), tx("tx"), ty("ty"), i("i"), j("j");
    Func half("half_results");
    half(c, tx, ty, n, j, i) = Halide::mux(
        i, output_transform(gather(tiles.points,
                                   [&](int s) -> Expr {
                                       return products(c,
                                                       tx + tiles.columns * (ty + tiles.rows * n),
                                                       j + tiles.points * s);
                                   }),
                            tiles.tile));
    Func result("result");
    result(c, x, y, n) = Halide::mux(
        x % tiles.tile, output_transform(gather(tiles.points,
                                                [&](int s) -> Expr {
                                                    return half(c, x / tiles.tile, y / tiles.tile,
                                                                n, s, y % tiles.tile);
                                                }),
                                         tiles.tile));
    Func out = context.finish(result);
    const std::vector<Var> at = out.args();
    const Var xi("xi"), yi("yi");
    out.split(at[1], tx, xi, tiles.tile, TailStrategy::GuardWithIf)
        .split(at[2], ty, yi, tiles.tile, TailStrategy::GuardWithIf);
    const Var thread = deal_tiles(out, {xi, yi}, {at[0], tx, ty, at[3]});
    half.compute_at(out, thread)
        .bound_extent(tx, 1)
        .bound_extent(ty, 1)
        .bound_extent(i, tiles.tile)
        .unroll(i)
        .unroll(j);
    return out;
}

}  // namespace

double GpuWinograd::relative_error(const Group& group) const {
    const Form form(group);
    return rounding_bound(form.tiles, form.product.channels);
}

bool GpuWinograd::applies(const Group& group, const Isa&) const {
    if (!can_be_cut(group) || !has_shape_of_anchor(group, /*batched=*/true) ||
        group.epilogue_window() != std::vector<int64_t>{1, 1})
        return false;
    const Form form(group);
    // Whole vectors of results, and whole pieces of the reduction.
    if (form.product.m % kDeviceVector != 0 || form.product.channels % 8 != 0) return false;
    return can_be_held(form.scratch());
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
    return block_tilings(form.product.m, form.tiles.count(), form.tiles.squared(),
                         looping_piece(form.product.channels, 1), isa);
}

double GpuWinograd::cost(const Group& group, const Tiling& tiling, const Isa&,
                         const Machine&) const {
    const Form form(group);
    const double bytes = traffic_bytes(group) + scratch_bytes(form.scratch());
    const double efficiency = block_efficiency(block_tile(tiling), form.product.m,
                                               form.tiles.count(), form.tiles.squared());
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
    const Func data = transformed_map(form.tiles, form.before_x, form.before_y, context);
    const Func products = products_of(form, block_tile(tiling), filters, data);
    return {results_of(form, context, products), filters, data, products};
}

}  // namespace emulsion
