// Winograd convolution over p x p points, p = 6 or 4. Tiles are numbered
// t = tx + columns * (ty + rows * n), so every shape and every number of samples has a tail in t
// alone.
//
//     parallel to                      block of TB tiles
//       P[row][width][C]               input with its prologue and a border of zeros; rows without
//                                      it stored where the group asks for that
//       V[t][C/16][p][p][16]           B^T d B, once for all output channels
//       ko                             block of kb output channels
//         M[p][p][t][kb]               for each of the points: registers kb x th, sum over C;
//                                      few channels: a part of the next block's input asked for
//         t, 16 channels               Y = A^T M A, epilogue, m x m results stored, and summed over
//                                      strips where the group asks for it
//
// Where there are few tiles and many channels (order=1), V of all tiles is computed first and the
// blocks of output channels are the parallel loop around the blocks of tiles, so that the filter,
// then larger than the second cache, is read once.
//
// Sums over C and the transforms are the same for every tiling, so bits do not depend on it. With
// kb=32, th=14 on AVX-512 a point's product runs at the rate of a matrix product; what limits is
// the transforms' share, a third at 32 channels, a tenth at 128.
//
// The largest error over that of the largest result, against double precision with uniform inputs:
//
//     channels               16     64     512
//     F(4x4,3x3)             3e-6   7e-6   1.3e-5
//     F(2x2,5x5)             2e-6   4e-6   1e-5
//     F(2x2,3x3)             2e-7   3e-7   9e-7
//
// Over the largest |x| times the largest sum of |w| of a filter, whatever the values, it is below
// 4e-7, and around a large mean no more than that of direct convolution (1e-7 at a mean of 3000).
// What only direct convolution keeps are small whole numbers, whose sums are exact: on 60000 +
// {-3 ... 3} a 3x3 filter of whole numbers of sum 0 errs by 0.1 over 6 points.
#include "schedules/cpu/winograd/winograd.h"

#include <algorithm>

#include "compiler/graph/limits.h"
#include "compiler/ops/moments.h"
#include "compiler/ops/winograd.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/common/anchor.h"
#include "schedules/common/winograd_transforms.h"
#include "schedules/cpu/common/prefetch.h"
#include "schedules/cpu/common/strips.h"
#include "schedules/cpu/common/tiling.h"
#include "schedules/cpu/winograd/winograd_shape.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::RVar;
using Halide::TailStrategy;
using Halide::Var;

namespace {

constexpr int kLaneCount = 16;
constexpr int kPanelTiles = 16;  // of one task that transforms input into panels

// The staged row where tile t begins. Samples are staged with their borders, one below the other;
// rows of tiles overlap by kernel - 1 rows, so each adds `tile` rows, and a sample kernel - 1.
Expr first_row(const WinogradShape& shape, const Expr& t) {
    return t / shape.columns * shape.tile + t / shape.tiles() * (shape.kernel - 1);
}

// The Funcs of the algorithm, from the input to the tile's results.
struct WinogradFuncs {
    Func staged{"staged"}, half{"half"}, data{"data"}, product{"product"}, sums{"sums"};
    Func half_result{"half_result"}, result{"result"};
    Func next{"next"};  // register tiles ask for the next block's input; undefined where none does
    Var c{"c"}, ci{"ci"}, co{"co"}, k{"k"}, t{"t"}, i{"i"}, j{"j"}, x{"x"}, y{"y"}, row{"row"};
    RDom r;

    WinogradFuncs(const WinogradShape& shape, const KernelContext& context, const Tiling& tiling)
        : r(0, kLaneCount, 0, shape.channels / kLaneCount, "r") {
        const Func filter = context.operand(1);
        const Func input = with_border(context.operand(0), shape.width, shape.height,
                                       shape.pad_left, shape.pad_top);
        staged(c, x, row) = input(c, x, row % shape.staged_height(),
                                  Halide::min(row / shape.staged_height(), context.samples() - 1));
        const Expr left = (t % shape.columns) * shape.tile;
        half(ci, co, t, x, i) =
            Halide::mux(i, input_transform(gather(shape.points, [&](int q) -> Expr {
                            return staged(ci + kLaneCount * co, left + x, first_row(shape, t) + q);
                        })));
        data(ci, t, co, j, i) = Halide::mux(
            j, input_transform(
                   gather(shape.points, [&](int q) -> Expr { return half(ci, co, t, q, i); })));
        const int kb = tiling.at("kb"), th = tiling.at("th"), tb = tiling.at("tb");
        if (tiling.at("order") == 0 && tb % th == 0 && shape.asks_ahead()) {
            // Over (block of channels, register tile, j, i), in the order of the loops.
            const int tiles = tb / th,
                      points = shape.points * shape.points * shape.out_channels / kb;
            const Expr point = (k * shape.points + i) * shape.points + j;
            const Expr part = ((t / tiles + 1) * points + point) * tiles + t % tiles;
            next(k, t, j, i) = read_ahead(
                context, 0, part, tb * shape.height * shape.width / shape.tiles(), points * tiles);
        }
        product(k, t, j, i) = next.defined() ? next(k / kb, t / th, j, i) : Expr(0.0F);
        product(k, t, j, i) +=
            filter(k % kLaneCount, r.x + kLaneCount * r.y, j, i, k / kLaneCount) *
            data(r.x, t, r.y, j, i);
        sums(k, t, j, i) = product(k, t, j, i);
        half_result(k, t, j, y) = Halide::mux(
            y,
            output_transform(gather(shape.points, [&](int q) -> Expr { return sums(k, t, j, q); }),
                             shape.tile));
        result(k, t, x, y) = Halide::mux(
            x, output_transform(
                   gather(shape.points, [&](int q) -> Expr { return half_result(k, t, q, y); }),
                   shape.tile));
    }
};

// The epilogue over tiles: what the kernel stores, and what it sums over strips.
struct TileEpilogue {
    const WinogradShape& shape;
    const KernelContext& context;
    int step_w, step_h;         // positions of the group's maps in a tile
    std::vector<Value> values;  // of the group, the components of `func`: first its maps
    Func func{"epilogue"};
    Var k{"k"}, t{"t"}, x{"x"}, y{"y"};  // its coordinates

    TileEpilogue(const WinogradShape& s, const KernelContext& c, const WinogradFuncs& f)
        : shape(s),
          context(c),
          step_w(s.tile / s.window_w),
          step_h(s.tile / s.window_h),
          values(c.group().maps()) {
        const Graph& body = context.group().body;
        for (int node : context.group().strip_sums()) {
            for (Value value : body.node(node).inputs) {
                if (context.group().follows_anchor(value) && !contains(value))
                    values.push_back(value);
            }
        }
        const std::vector<Expr> place = at(t, x, y);
        func(k, t, x, y) =
            Halide::Tuple(context.values_at(values, place, [&](const std::vector<Expr>& p) -> Expr {
                // p = (k, column * window + dx, ...): the position inside the tile is a constant
                const Expr dx = Halide::Internal::simplify(p[1] - place[1] * shape.window_w);
                const Expr dy = Halide::Internal::simplify(p[2] - place[2] * shape.window_h);
                return f.result(p[0], t, x * shape.window_w + dx, y * shape.window_h + dy);
            }));
    }
    bool contains(Value value) const {
        return std::find(values.begin(), values.end(), value) != values.end();
    }
    // Coordinates of the maps for position (x, y) of a tile; the last ones beyond the edge.
    std::vector<Expr> at(const Expr& tile, const Expr& px, const Expr& py) const {
        const Expr column = (tile % shape.columns) * step_w + px;
        const Expr row = ((tile / shape.columns) % shape.rows) * step_h + py;
        return {k, Halide::min(column, shape.result_w - 1), Halide::min(row, shape.result_h - 1),
                tile / shape.tiles()};
    }
    // `value` at position (x, y) of a tile.
    Expr read(Value value, const Expr& tile, const Expr& px, const Expr& py) const {
        const auto found = std::find(values.begin(), values.end(), value);
        if (found == values.end()) return context.values_at({value}, at(tile, px, py), {})[0];
        return component(func, {k, tile, px, py}, static_cast<size_t>(found - values.begin()));
    }
};

// The sums of a node over strips that the group stores, by the node's outputs.
std::vector<int> stored_sums(const Group& group, int node) {
    std::vector<int> outputs;
    for (const Result& result : group.body.results()) {
        if (result.value.node == node) outputs.push_back(result.value.output);
    }
    return outputs;
}

// These sums as a Func over (k, w, strip, n), made tile by tile. `q` loops over all tiles.
Func define_strip_sums(const TileEpilogue& epilogue, int node, const RDom& q) {
    const WinogradShape& shape = epilogue.shape;
    const Node& sum = epilogue.context.group().body.node(node);
    const std::vector<int> stored = stored_sums(epilogue.context.group(), node);
    const Expr t = q.z + q.x + q.y;
    const Expr strip = (t / shape.columns) % shape.rows, n = t / shape.tiles();
    const StripTile tile{
        shape.tile, shape.columns, shape.out_w, shape.out_h, t % shape.columns, strip, n};
    Var k = epilogue.k, w("w"), y("y"), sample("sample");
    Func sums("strip_sums");
    sums(k, w, y, sample) = Halide::Tuple(std::vector<Expr>(stored.size(), Halide::undef<float>()));
    std::vector<Expr> old(sum.types.size(), Expr(0.0F)), values;
    for (size_t i = 0; i < stored.size(); i++)
        old[static_cast<size_t>(stored[i])] = component(sums, {k, 0, strip, n}, i);
    const std::vector<Expr> all = add_tile(*sum.op, tile, old, [&](int i, int x, int y2) -> Expr {
        return epilogue.read(sum.inputs[static_cast<size_t>(i)], t, x, y2);
    });
    for (int output : stored) values.push_back(all[static_cast<size_t>(output)]);
    sums(k, 0, strip, n) = Halide::Tuple(values);
    return sums;
}

// Products over a block of tiles and a block of channels, in register tiles.
void schedule_products(WinogradFuncs& f, const Tiling& tiling) {
    const int th = tiling.at("th");
    Var to_tile("to_tile"), in_tile("in_tile"), ko("ko"), ki("ki");
    f.sums.bound_extent(f.k, tiling.at("kb"))
        .bound_storage(f.t, to_int(round_up(tiling.at("tb"), th)))
        .split(f.t, to_tile, in_tile, th, TailStrategy::RoundUp)
        .split(f.k, ko, ki, tiling.at("kw"))
        .reorder(ki, in_tile, to_tile, ko, f.j, f.i)
        .vectorize(ki, kLaneCount)
        .unroll(ki)
        .unroll(in_tile);
    if (f.next.defined()) f.next.compute_at(f.sums, to_tile);
    f.product.compute_at(f.sums, to_tile).vectorize(f.k, kLaneCount).unroll(f.k).unroll(f.t);
    f.product.update()
        .reorder(f.k, f.t, f.r.x, f.r.y, f.j, f.i)
        .vectorize(f.k, kLaneCount)
        .unroll(f.k)
        .unroll(f.t);
}

// The transformed input: of a block of tiles inside loop `level`, or of all tiles in front of
// everything else.
void schedule_data(WinogradFuncs& f, const WinogradShape& shape, const Tiling& tiling,
                   const Halide::LoopLevel& level, int batch) {
    const auto block = to_int(round_up(tiling.at("tb"), tiling.at("th")));
    const bool panels = tiling.at("order") == 1;
    const int tile_rows = (panels ? kPanelTiles : block) / shape.columns + 2;
    const int samples = tile_rows / shape.rows + 2;
    f.data.compute_at(level)
        .reorder(f.ci, f.j, f.i, f.co, f.t)
        .bound_extent(f.ci, kLaneCount)
        .vectorize(f.ci)
        .unroll(f.j)
        .unroll(f.i);
    f.half.compute_at(f.data, f.co).vectorize(f.ci, kLaneCount).unroll(f.x).unroll(f.i);
    if (panels) {
        Var task("task"), inner("inner");
        const auto most = to_int(round_up(int64_t{shape.tiles()} * batch, tiling.at("tb")));
        f.data.split(f.t, task, inner, kPanelTiles, TailStrategy::GuardWithIf).parallel(task);
        f.data.bound_storage(f.t, most + tiling.at("th"));
        f.staged.compute_at(f.data, task);
    } else {
        f.data.bound_storage(f.t, block);
        f.staged.compute_at(level);
    }
    f.staged.bound_storage(f.x, shape.staged_width())
        .bound_storage(f.row, tile_rows * shape.tile + samples * (shape.kernel - 1))
        .vectorize(f.c, kLaneCount)
        .never_partition_all();
}

// Stores what the prologue makes, from the copy that a block stages, in the blocks of `out`, whose
// loops have the same names: with the first tile of a row of tiles the rows of positions that
// it alone has, so that they are written in the order of memory.
Func store_input(const WinogradFuncs& f, const WinogradShape& shape, const Expr& tiles,
                 const Tiling& tiling, Func out) {
    RDom q({{0, shape.width}, {0, shape.tile}, {0, tiles}}, "q");
    q.where(q.z % shape.columns == 0);
    const Expr row = (q.z / shape.columns) % shape.rows * shape.tile + q.y;
    if (shape.height % shape.tile != 0) q.where(row < shape.height);
    Var c = f.c, x("x"), y("y"), n("n"), co("co"), ci("ci");
    RVar to("to"), ti("ti");
    Func stored("stored");
    stored(c, x, y, n) = Halide::undef<float>();
    stored(c, q.x, Halide::min(row, shape.height - 1), q.z / shape.tiles()) =
        f.staged(c, q.x + shape.pad_left, first_row(shape, q.z) + q.y + shape.pad_top);
    stored.compute_root()
        .update()
        .split(q.z, to, ti, tiling.at("tb"), TailStrategy::GuardWithIf)
        .split(c, co, ci, kLaneCount)
        .reorder(ci, co, q.x, q.y, ti, to)
        .allow_race_conditions()
        .vectorize(ci)
        .never_partition_all()
        .parallel(to)
        .compute_with(out.update(), to);
    return stored;
}

}  // namespace

bool Winograd::applies(const Group& group, const Isa&) const {
    if (anchor_as<WinogradConv2d>(group) == nullptr) return false;
    if (group.has_prologue(1) || group.maps().empty()) return false;
    const WinogradShape shape(group);
    if (shape.channels % kLaneCount != 0 || shape.out_channels % kLaneCount != 0) return false;
    for (Value value : group.maps()) {
        const TensorType& type = group.body.type(value);
        if (!type.batched || type.shape.size() != 3 || type.shape[0] != shape.out_channels)
            return false;
    }
    const std::vector<Value> stored = group.stored_prologues();
    if (!stored.empty()) {
        const bool is_input = stored == std::vector<Value>{group.anchor_node().inputs[0]};
        const bool same_size = shape.width == shape.out_w && shape.height == shape.out_h;
        if (!is_input || !same_size) return false;
        if (std::max(shape.pad_left, shape.pad_top) + shape.tile > shape.points) return false;
    }
    const bool sums = !group.strip_sums().empty();
    if (sums && (shape.tile != kStripRows || shape.window_h * shape.window_w != 1)) return false;
    for (int node : group.strip_sums()) {
        const std::vector<int> outputs = stored_sums(group, node);
        const bool has_first = std::find(outputs.begin(), outputs.end(), 0) != outputs.end();
        if (continues_from_first(*group.body.node(node).op) && !has_first) return false;
    }
    return shape.tile % shape.window_w == 0 && shape.tile % shape.window_h == 0;
}

TilingSpace Winograd::space(const Group& group, const Isa&) const { return winograd_space(group); }

std::string Winograd::clash(const Group& group, const Tiling& tiling, const Isa& isa) const {
    return winograd_clash(group, tiling, isa);
}

std::vector<Tiling> Winograd::tilings(const Group& group, const Isa& isa) const {
    return winograd_tilings(group, isa);
}

double Winograd::relative_error(const Group& group) const {
    return WinogradShape(group).points == 4 ? 2e-6 : 2e-5;
}

double Winograd::multiply_adds(const Group& group) const {
    return WinogradShape(group).products() * group.batch;
}

double Winograd::cost(const Group& group, const Tiling& tiling, const Isa& isa,
                      const Machine& machine) const {
    const WinogradShape shape(group);
    const double tiles = 1.0 * shape.tiles() * group.batch;
    const double products = shape.products() * group.batch;
    // Transforms: operations for each channel of a tile on either side.
    const double transforms =
        (shape.points == 4 ? 30.0 : 150.0) * tiles * (shape.channels + shape.out_channels) / 2;
    const double tasks = tiling.at("order") == 1 ? 1.0 * shape.out_channels / tiling.at("kb")
                                                 : tiles / tiling.at("tb");
    return roofline(machine, isa, products + 2 * transforms, 0.75, traffic_bytes(group), tasks);
}

std::vector<Func> Winograd::build(KernelContext& context, const Tiling& tiling) const {
    const WinogradShape shape(context.group());
    WinogradFuncs f(shape, context, tiling);

    // The output as a scatter over tiles: results of tile q.z at (q.x, q.y) of the epilogue's map.
    TileEpilogue epilogue(shape, context, f);
    const int step_w = epilogue.step_w, step_h = epilogue.step_h;
    const Expr total = context.samples() * shape.tiles();
    RDom q({{0, step_w}, {0, step_h}, {0, total}}, "q");
    if (shape.columns * step_w > shape.result_w)
        q.where((q.z % shape.columns) * step_w + q.x < shape.result_w);
    if (shape.rows * step_h > shape.result_h) {
        q.where(((q.z / shape.columns) % shape.rows) * step_h + q.y < shape.result_h);
    }
    Var k = epilogue.k, x("x"), y("y"), n("n");
    Func out("out");
    std::vector<Expr> none, values;
    for (Value value : context.group().maps()) {
        values.push_back(epilogue.read(value, q.z, q.x, q.y));
        none.push_back(Halide::undef(values.back().type()));
    }
    const std::vector<Expr> at = epilogue.at(q.z, q.x, q.y);
    out(k, x, y, n) = Halide::Tuple(none);
    out(k, at[1], at[2], at[3]) = Halide::Tuple(values);

    Var ko("ko"), kt("kt"), kio("kio"), kii("kii");
    RVar to("to"), ti("ti");
    const bool panels = tiling.at("order") == 1;
    auto walk_tiles = [&](Halide::Stage stage, const RDom& r) {
        stage.split(r.z, to, ti, tiling.at("tb"), TailStrategy::GuardWithIf)
            .split(k, ko, kt, tiling.at("kb"))
            .split(kt, kio, kii, kLaneCount)
            .allow_race_conditions()
            .vectorize(kii)
            .never_partition_all();
        if (panels) {
            stage.reorder(kii, r.x, r.y, kio, ti, to, ko).parallel(ko);
        } else {
            stage.reorder(kii, r.x, r.y, kio, ti, ko, to).parallel(to);
        }
    };
    walk_tiles(out.update(), q);
    out.update().unroll(q.x).unroll(q.y);
    std::vector<Func> results = {out};
    for (int node : context.group().strip_sums()) {
        // The same loops under the same names, or Halide does not join them.
        const RDom tiles({{0, 1}, {0, 1}, {0, total}}, "q");
        Func sums = define_strip_sums(epilogue, node, tiles);
        walk_tiles(sums.update(), tiles);
        sums.compute_root().update().compute_with(out.update(), kio);
        results.push_back(sums);
    }
    if (results.size() > 1) {
        epilogue.func.compute_at(out, kio)
            .bound_extent(epilogue.k, kLaneCount)
            .vectorize(epilogue.k)
            .unroll(epilogue.x)
            .unroll(epilogue.y);
    }
    if (!context.group().stored_prologues().empty())
        results.push_back(store_input(f, shape, total, tiling, out));
    for (Func tile : {f.result, f.half_result})
        tile.compute_at(out, kio).vectorize(f.k, kLaneCount);
    f.result.bound_extent(f.k, kLaneCount).unroll(f.x).unroll(f.y);
    f.half_result.bound_extent(f.k, kLaneCount).unroll(f.j).unroll(f.y);
    if (panels) {
        f.sums.compute_at(out, to);
        schedule_products(f, tiling);
        schedule_data(f, shape, tiling, Halide::LoopLevel::root(), context.group().batch);
    } else {
        f.sums.compute_at(out, ko);
        schedule_products(f, tiling);
        schedule_data(f, shape, tiling, Halide::LoopLevel(out, to), context.group().batch);
    }
    return results;
}

}  // namespace emulsion
