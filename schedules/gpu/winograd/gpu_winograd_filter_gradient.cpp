// Transforms by a thread for each tile and channel, sums over tiles by blocks of products.
//
// A tiling is a block's tile (bm over output channels, bp over input channels), and
//     parts    runs of tiles that are summed apart; the order of a sum follows from it
#include "schedules/gpu/winograd/gpu_winograd_filter_gradient.h"

#include <algorithm>

#include "compiler/graph/limits.h"
#include "compiler/ops/conv2d.h"
#include "compiler/ops/winograd.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/common/anchor.h"
#include "schedules/common/funcs.h"
#include "schedules/common/group_work.h"
#include "schedules/common/winograd_transforms.h"
#include "schedules/gpu/common/elements.h"
#include "schedules/gpu/product/block_product.h"
#include "schedules/gpu/winograd/tile_transforms.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

namespace {

constexpr int kLanes = static_cast<int>(kBlock);
constexpr int kPiece = 16;           // tiles staged at once, half of them where tiles are few
constexpr int kMostParts = 8;        // a thread of the last kernel reads all
constexpr int kLongestChain = 1024;  // tiles that are summed one after another

// A group's gradient in tiles of dy.
struct Form {
    int outputs, inputs;
    MapTiles tiles;

    // REQUIRES: can_be_cut(group).
    explicit Form(const Group& group)
        : outputs(extent(group, 1, 0)),
          inputs(extent(group, 0, 0)),
          tiles(to_int(anchor_as<Conv2dBackwardFilter>(group)->kernel[0]), extent(group, 1, 1),
                extent(group, 1, 2), group.batch) {}
    double multiply_adds() const {
        return 1.0 * tiles.squared() * static_cast<double>(tiles.count()) * outputs * inputs;
    }
    int most_parts() const {
        return to_int(std::clamp<int64_t>(tiles.count() / (2 * kPiece), 1, kMostParts));
    }
    // Of at most kLongestChain tiles, as long as there are so many.
    int fewest_parts() const {
        return to_int(
            std::min<int64_t>(most_parts(), (tiles.count() + kLongestChain - 1) / kLongestChain));
    }
    // Tiles of a part, in pieces that are whole whatever the tiling.
    int run(int parts) const {
        return to_int(round_up((tiles.count() + parts - 1) / parts, kPiece));
    }
    std::vector<Scratch> scratch(int parts) const {
        return {{"data", {inputs, tiles.count(), tiles.squared()}},
                {"gradients", {outputs, tiles.count(), tiles.squared()}},
                {"partial", {outputs, inputs, int64_t{tiles.squared()} * parts}}};
    }

  private:
    static int extent(const Group& group, int operand, size_t axis) {
        return to_int(group.anchor_input(operand).shape[axis]);
    }
};

bool can_be_cut(const Group& group) {
    const auto* conv = anchor_as<Conv2dBackwardFilter>(group);
    return conv != nullptr && has_tiles(*conv, conv->kernel[0], conv->kernel[1]);
}

int parts_of(const Form& form, const BlockTile& tile) {
    const int grid =
        divide_up(form.outputs, tile.bm) * divide_up(form.inputs, tile.bp) * form.tiles.squared();
    return parts_that_fill(grid, form.most_parts(), form.fewest_parts());
}

Func transformed_gradients(const Form& form, const KernelContext& context) {
    const MapTiles& tiles = form.tiles;
    const Var o("o"), t("t"), x("x"), y("y");
    const std::vector<int64_t>& shape = context.group().anchor_input(1).shape;
    const Position px = cell_at(tiles.x(t) + x, shape[2]), py = cell_at(tiles.y(t) + y, shape[1]);
    Func square("square");
    square(o, t, x, y) = value_or_zero(
        px.inside && py.inside,
        context.operand(1)(o, px.at, py.at, Halide::min(tiles.n(t), context.samples() - 1)));
    return transformed(
        "gradients", tiles.points, square, tiles.tile,
        [&](const std::vector<Expr>& values) { return gradient_transform(values, tiles.points); });
}

// The sums of the parts, without tiles beyond the samples, over (output, input, point + points^2 *
// part), as a kernel of their own.
Func partial_sums(const Form& form, const KernelContext& context, const Tiling& tiling,
                  const Func& gradients, const Func& data) {
    const BlockTile tile = block_tile(tiling);
    const int run = form.run(tiling.at("parts")), squared = form.tiles.squared();
    const int last = to_int(form.tiles.count()) - 1;
    const Var m("m"), c("c"), i("i"), z("z");
    const Expr t = z / squared * run + i, safe = Halide::min(t, last);
    const Expr is_there = form.tiles.n(t) < context.samples();
    Func a("a"), b("b"), rows("br"), sum("acc"), partial("partial");
    a(m, i, z) = value_or_zero(is_there, gradients(channel_in(m, form.outputs), safe, z % squared));
    b(c, i, z) = data(channel_in(c, form.inputs), safe, z % squared);
    rows(c, i, z) = b(c, i, z);
    const RDom r(0, run, "r");
    sum(m, c, z) = 0.0F;
    sum(m, c, z) += a(m, r, z) * rows(c, r, z);
    partial(m, c, z) = sum(m, c, z);
    deal_results(partial, form.outputs, tile, Panel::vectors);
    sum.compute_at(partial, Var("po"))
        .store_in(Halide::MemoryType::Register)
        .bound_extent(m, tile.bm)
        .bound_extent(c, tile.bp);
    schedule_row_sum(sum, {a, b, rows}, r, {}, tile);
    return partial;
}

// A thread makes the taps of a pair of channels.
Func results_of(const Form& form, const KernelContext& context, int parts, const Func& partial) {
    const MapTiles& tiles = form.tiles;
    const WinogradMatrices matrices = winograd_matrices(tiles.tile, tiles.kernel);
    const auto transform = [&](const std::vector<Expr>& values) {  // by the columns of G
        std::vector<Expr> taps;
        for (size_t tap = 0; tap < matrices.filter[0].size(); tap++) {
            std::vector<double> factors;
            for (const auto& row : matrices.filter) factors.push_back(row[tap]);
            taps.push_back(combine(factors, values));
        }
        return taps;
    };
    const Var o("o"), c("c"), j("j"), i("i"), ky("ky");
    std::vector<Expr> terms;
    for (int part = 0; part < parts; part++)
        terms.push_back(partial(o, c, j + tiles.points * i + tiles.squared() * part));
    Func total("total"), half("half_results"), result("result");
    total(o, c, j, i) = tree_sum(terms);
    half(o, c, j, ky) = Halide::mux(
        ky, transform(gather(tiles.points, [&](int s) -> Expr { return total(o, c, j, s); })));
    const std::vector<Var> at = coordinates(context.group().anchor_output());
    const Expr channel = at[0] + kLanes * at[4];
    result(at) = Halide::mux(at[2], transform(gather(tiles.points, [&](int s) -> Expr {
                                 return half(channel, at[1], s, at[3]);
                             })));
    const Func out = context.finish(result);
    const std::vector<Var> v = out.args();  // lane, c, kx, ky, block
    const Var thread = deal_tiles(out, {v[2], v[3]}, {v[0], v[1], v[4]});
    half.compute_at(out, thread).unroll(j).unroll(ky);
    total.compute_at(out, thread).unroll(j).unroll(i);
    return out;
}

}  // namespace

double GpuWinogradFilterGradient::relative_error(const Group& group) const {
    const Form form(group);
    return rounding_bound(form.tiles, form.run(form.fewest_parts()));
}

bool GpuWinogradFilterGradient::applies(const Group& group, const Isa&) const {
    if (!can_be_cut(group) || !has_shape_of_anchor(group, /*batched=*/false)) return false;
    const Form form(group);
    if (form.outputs % kLanes != 0 || form.inputs % kDeviceVector != 0) return false;
    if (form.tiles.count() < kPiece) return false;  // two pieces: one would be no loop
    return can_be_held(form.scratch(form.most_parts()));
}

TilingSpace GpuWinogradFilterGradient::space(const Group& group, const Isa&) const {
    TilingSpace space = block_space(kPiece);
    const Form form(group);
    space.push_back({"parts", {}, form.fewest_parts(), form.most_parts(), true});
    return space;
}

std::string GpuWinogradFilterGradient::clash(const Group&, const Tiling& tiling,
                                             const Isa& isa) const {
    return block_clash(block_tile(tiling), isa);
}

std::vector<Tiling> GpuWinogradFilterGradient::tilings(const Group& group, const Isa& isa) const {
    const Form form(group);
    const int64_t copies = int64_t{form.tiles.squared()} * form.most_parts();
    std::vector<Tiling> tilings =
        block_tilings(form.outputs, form.inputs, copies,
                      form.tiles.count() < 2 * kPiece ? kPiece / 2 : kPiece, isa);
    for (Tiling& tiling : tilings)
        tiling.values.emplace_back("parts", parts_of(form, block_tile(tiling)));
    return tilings;
}

double GpuWinogradFilterGradient::cost(const Group& group, const Tiling& tiling, const Isa&,
                                       const Machine&) const {
    const Form form(group);
    const int parts = tiling.at("parts");
    const double bytes = traffic_bytes(group) + scratch_bytes(form.scratch(parts));
    const double efficiency = block_efficiency(block_tile(tiling), form.outputs, form.inputs,
                                               int64_t{form.tiles.squared()} * parts);
    return device_seconds(4, bytes, form.multiply_adds(), efficiency);
}

double GpuWinogradFilterGradient::multiply_adds(const Group& group) const {
    return Form(group).multiply_adds();
}

std::vector<Scratch> GpuWinogradFilterGradient::scratch(const Group& group,
                                                        const Tiling& tiling) const {
    return Form(group).scratch(tiling.at("parts"));
}

std::vector<Func> GpuWinogradFilterGradient::build(KernelContext& context,
                                                   const Tiling& tiling) const {
    const Form form(context.group());
    const Window window = anchor_as<Conv2dBackwardFilter>(context.group())
                              ->window(form.tiles.kernel, form.tiles.kernel);
    const Func data =
        transformed_map(form.tiles, to_int(window.before(1)), to_int(window.before(0)), context);
    const Func gradients = transformed_gradients(form, context);
    const Func partial = partial_sums(form, context, tiling, gradients, data);
    return {results_of(form, context, tiling.at("parts"), partial), data, gradients, partial};
}

}  // namespace emulsion
