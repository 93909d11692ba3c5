// Winograd filter gradient in panels, over p x p points, p = 6 or 4.
//
//     parallel n                       V[C/16][p][p][t][16]: B^T d B of the input's tiles
//     parallel n                       Z[K/16][p][p][t][16]: A dy A^T of the gradient's tiles
//     parallel blocks of kp x cp channels
//       points, kp/kb, cp/tc           registers kb x tc, sum over all tiles
//         S[p][p][cp][kp] = registers  in the second cache
//       dw of the block = G^T S G
//
// A panel V[C/16][i][j] or Z[K/16][i][j] is one run of cache lines. The sum over tiles is one chain
// for each element, so bits depend on nothing but the samples.
#include "schedules/cpu/winograd/winograd_panel_gradient.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/recipe/kernel_context.h"
#include "schedules/common/winograd_transforms.h"
#include "schedules/cpu/common/tiling.h"
#include "schedules/cpu/winograd/winograd_gradient_parts.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

namespace {

constexpr int kVector = 16;
constexpr double kPanelLimit = 64e6;  // bytes of V and Z
constexpr int kLongestChain = 1024;   // tiles that are summed one after the other
constexpr int kMostInputs = 64;       // input channels of a task

double panel_bytes(const WinogradGradientShape& s, int batch) {
    return 4.0 * s.points * s.points * s.tiles() * batch * (s.conv.channels + s.conv.out_channels);
}

// The largest multiple of `unit`, at most `most`, that divides `channels`.
int largest_block(int channels, int most, int unit) {
    int block = most / unit * unit;
    while (channels % block != 0) block -= unit;
    return block;
}

// The Funcs of the algorithm, from the operands to the sum over tiles.
struct PanelFuncs {
    Func input{"input"};                      // (c, x, y, n), with its border
    Func half_x{"half_x"}, data_x{"data_x"};  // (lane, t, x, i, block), (…, j, i, …)
    Func half_y{"half_y"}, data_y{"data_y"};
    Func registers{"registers"}, sum{"sum"};  // (k, c, j, i)
    Var l{"l"}, t{"t"}, x{"x"}, i{"i"}, j{"j"}, b{"b"}, k{"k"}, c{"c"};
    RDom r;

    PanelFuncs(const WinogradGradientShape& shape, const KernelContext& context)
        : r(0, context.samples() * shape.tiles(), "r") {
        const ConvShape& s = shape.conv;
        const Func gradient = context.operand(1);
        input = with_border(context.operand(0), s.width, s.height, s.pad_left, s.pad_top);
        const Expr left = (t % shape.columns) * shape.tile;
        const Expr top = ((t / shape.columns) % shape.rows) * shape.tile;
        const Expr sample = t / shape.tiles();
        auto read_input = [&](int q) -> Expr {
            return input(b * kVector + l, left + x, top + q, sample);
        };
        auto read_gradient = [&](int q) -> Expr {
            const Expr ix = left + x, iy = top + q;
            const Expr value = gradient(b * kVector + l, Halide::min(ix, s.out_width - 1),
                                        Halide::min(iy, s.out_height - 1), sample);
            Expr inside = Halide::Internal::const_true();
            if (s.out_width % shape.tile != 0) inside = inside && ix < s.out_width;
            if (s.out_height % shape.tile != 0) inside = inside && iy < s.out_height;
            return Halide::select(inside, value, 0.0F);
        };
        half_x(l, t, x, i, b) = Halide::mux(i, input_transform(gather(shape.points, read_input)));
        data_x(l, t, j, i, b) = Halide::mux(
            j, input_transform(
                   gather(shape.points, [&](int q) -> Expr { return half_x(l, t, q, i, b); })));
        half_y(l, t, x, i, b) =
            Halide::mux(i, gradient_transform(gather(shape.tile, read_gradient), shape.points));
        data_y(l, t, j, i, b) = Halide::mux(
            j, gradient_transform(
                   gather(shape.tile, [&](int q) -> Expr { return half_y(l, t, q, i, b); }),
                   shape.points));
        registers(k, c, j, i) = 0.0F;
        registers(k, c, j, i) +=
            data_y(k % kVector, r, j, i, k / kVector) * data_x(c % kVector, r, j, i, c / kVector);
        sum(k, c, j, i) = registers(k, c, j, i);
    }
};

// The transforms of all tiles, a sample at a time.
void schedule_panels(PanelFuncs& f, const WinogradGradientShape& shape, int batch) {
    const int tiles = shape.tiles();
    auto schedule = [&](Func data, Func first_half, int blocks) {
        Var n("n"), inner("inner");
        data.compute_root()
            .bound_extent(f.l, kVector)
            .bound_extent(f.b, blocks)
            .bound_extent(f.j, shape.points)
            .bound_extent(f.i, shape.points)
            .bound_storage(f.t,
                           (tiles * batch) | 1)  // odd, so that panels use all of the cache's sets
            .split(f.t, n, inner, tiles, Halide::TailStrategy::RoundUp)
            .reorder(f.l, f.j, f.i, inner, f.b, n)
            .vectorize(f.l)
            .unroll(f.j)
            .unroll(f.i)
            .parallel(n);
        first_half.compute_at(data, inner).vectorize(f.l, kVector).unroll(f.x).unroll(f.i);
    };
    schedule(f.data_x, f.half_x, shape.conv.channels / kVector);
    schedule(f.data_y, f.half_y, shape.conv.blocks());
    const std::vector<Var> at = f.input.args();
    f.input.compute_at(f.data_x, f.b)
        .bound_extent(at[0], kVector)
        .bound_storage(at[1], shape.columns * shape.tile + shape.points - shape.tile)
        .bound_storage(at[2], shape.rows * shape.tile + shape.points - shape.tile)
        .bound_storage(at[3], 1)
        .vectorize(at[0], kVector)
        .never_partition_all();
}

void schedule_sum(PanelFuncs& f, const Tiling& tiling, const Func& out, const Var& task) {
    Var ko("ko"), ki("ki"), co("co"), ci("ci");
    f.sum.compute_at(out, task)
        .bound_extent(f.k, tiling.at("kp"))
        .bound_extent(f.c, tiling.at("cp"))
        .bound_storage(f.c, tiling.at("cp") + 1)  // so that points use all of the cache's sets
        .split(f.k, ko, ki, tiling.at("kb"))
        .split(f.c, co, ci, tiling.at("tc"))
        .reorder(ki, ci, co, ko, f.j, f.i)
        .vectorize(ki, kVector)
        .unroll(ki)
        .unroll(ci);
    f.registers.compute_at(f.sum, co).vectorize(f.k, kVector).unroll(f.k).unroll(f.c);
    f.registers.update()
        .reorder(f.k, f.c, f.r, f.j, f.i)
        .vectorize(f.k, kVector)
        .unroll(f.k)
        .unroll(f.c);
}

}  // namespace

bool WinogradPanelGradient::applies(const Group& group, const Isa& isa) const {
    if (!has_winograd_gradient(group, isa)) return false;
    const WinogradGradientShape s(group);
    return s.tiles() * group.batch <= kLongestChain && panel_bytes(s, group.batch) <= kPanelLimit;
}

TilingSpace WinogradPanelGradient::space(const Group& group, const Isa&) const {
    const ConvShape s = conv_shape(group);
    const auto blocks = [](int channels, int most) {
        std::vector<int> values;
        for (int block : divisors(channels, most)) {
            if (block % kVector == 0) values.push_back(block);
        }
        return values;
    };
    return {{"kb", {16, 32, 48, 64}},
            {"tc", {4, 8, 16}},
            {"kp", blocks(s.out_channels, s.out_channels)},
            {"cp", blocks(s.channels, kMostInputs)}};
}

std::string WinogradPanelGradient::clash(const Group&, const Tiling& tiling, const Isa& isa) const {
    const int kb = tiling.at("kb"), kp = tiling.at("kp");
    if (kp % kb != 0) return fmt::format("kp={} is no multiple of kb={}", kp, kb);
    return register_fault(isa, kb, tiling.at("tc"));
}

std::vector<Tiling> WinogradPanelGradient::tilings(const Group& group, const Isa& isa) const {
    const ConvShape s = conv_shape(group);
    std::vector<Tiling> tilings;
    for (auto [kb, tc] : {std::pair{32, 8}, {16, 16}, {48, 8}, {64, 4}, {16, 8}, {16, 4}}) {
        if (s.out_channels % kb != 0 || tile_registers(isa, kb, tc) > accumulator_limit(isa))
            continue;
        for (int most : {32, 64}) {
            const int kp = largest_block(s.out_channels, std::max(most, kb), kb);
            const int cp = largest_block(s.channels, kMostInputs, kVector);
            const Tiling tiling{{{"kb", kb}, {"tc", tc}, {"kp", kp}, {"cp", cp}}};
            if (tilings.empty() || !(tilings.back() == tiling)) tilings.push_back(tiling);
        }
    }
    EMU_CHECK(!tilings.empty(), "no register tile for {}", isa.name);
    return tilings;
}

double WinogradPanelGradient::relative_error(const Group& group) const {
    return WinogradGradientShape(group).points == 4 ? 2e-6 : 2e-5;
}

double WinogradPanelGradient::multiply_adds(const Group& group) const {
    return WinogradGradientShape(group).products() * group.batch;
}

double WinogradPanelGradient::cost(const Group& group, const Tiling& tiling, const Isa& isa,
                                   const Machine& machine) const {
    const WinogradGradientShape s(group);
    const double tiles = 1.0 * s.tiles() * group.batch;
    const double transforms =
        (s.points == 4 ? 20.0 : 100.0) * tiles * (s.conv.channels + s.conv.out_channels);
    const double tasks =
        1.0 * s.conv.channels / tiling.at("cp") * s.conv.out_channels / tiling.at("kp");
    return roofline(machine, isa, s.products() * group.batch + transforms, 0.6,
                    traffic_bytes(group) + 2 * panel_bytes(s, group.batch), tasks);
}

std::vector<Func> WinogradPanelGradient::build(KernelContext& context, const Tiling& tiling) const {
    const WinogradGradientShape shape(context.group());
    PanelFuncs f(shape, context);
    FilterAdjoint adjoint(shape,
                          [&](const Expr& k, const Expr& c, const Expr& j, const Expr& i) -> Expr {
                              return f.sum(k, c, j, i);
                          });
    Func out = context.finish(adjoint.result);

    const std::vector<Var> at = out.args();  // lane, c, kx, ky, block
    Var task("task"), co("co"), ci("ci"), ko("ko"), ki("ki");
    out.split(at[1], co, ci, tiling.at("cp"))
        .split(at[4], ko, ki, tiling.at("kp") / kVector)
        .reorder(at[0], at[2], at[3], ci, ki, ko, co)
        .fuse(ko, co, task)
        .parallel(task)
        .vectorize(at[0], kVector)
        .unroll(at[2])
        .unroll(at[3]);
    adjoint.half.compute_at(out, ci)
        .vectorize(adjoint.k, kVector)
        .unroll(adjoint.j)
        .unroll(adjoint.ky);
    schedule_sum(f, tiling, out, task);
    schedule_panels(f, shape, context.group().batch);
    return {out};
}

}  // namespace emulsion
