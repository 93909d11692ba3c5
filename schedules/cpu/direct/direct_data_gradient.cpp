// Data gradient of a strided convolution by phases. See direct.h.
//
// A result position x reads dy at (x + pad - kx * dilation) / stride for those taps kx where the
// division is exact. Which taps those are depends on x mod stride alone: its phase. The taps of a
// phase are an arithmetic progression. A tiling is
//     kw, tx   register tile of one phase: channels of dx, and positions in x that lie `stride`
//     apart
//     rows     rows of dx, in units of the stride, of one task
//
// Up to kUnrolledPhases phases are written out, each with its own taps. Of more, a loop runs over
// the phases inside a tile, and what a phase is comes out of tables.
#include "compiler/ops/conv2d.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/common/anchor.h"
#include "schedules/cpu/direct/direct.h"

#include <algorithm>
#include <numeric>

namespace emulsion {

namespace {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Var;

// The taps first, first + step, … (count of them) of one phase along an axis; tap first + j * step
// reads dy at x / stride + offset - j * shift.
struct Phase {
    int first = 0, step = 1, count = 0, offset = 0, shift = 0;
};

Phase phase_of(int phase, int kernel, int stride, int dilation, int pad) {
    Phase result;
    result.step = stride / std::gcd(stride, dilation);
    result.shift = result.step * dilation / stride;
    for (int tap = 0; tap < kernel; tap++) {
        if ((phase + pad - tap * dilation) % stride != 0) continue;
        result.first = tap;
        result.count = (kernel - 1 - tap) / result.step + 1;
        result.offset = (phase + pad - tap * dilation) / stride;
        break;
    }
    return result;
}

// Range of dy positions around x / stride that any phase reads.
struct Reach {
    int low = 0, high = 0;
};

Reach reach_of(const std::vector<Phase>& phases) {
    Reach reach;
    for (const Phase& p : phases) {
        if (p.count == 0) continue;
        reach.high = std::max(reach.high, p.offset);
        reach.low = std::min(reach.low, p.offset - (p.count - 1) * p.shift);
    }
    return reach;
}

constexpr int kUnrolledPhases = 16;

struct StridedPlan {
    ConvShape conv;
    std::vector<Phase> x, y;
    int channels = 0, blocks = 0;  // of dx
    int columns = 0, lines = 0;    // positions of one phase
    Reach reach_x, reach_y;

    explicit StridedPlan(const Group& group) : conv(conv_shape(group)) {
        channels = conv.channels, blocks = (channels + 15) / 16;
        columns = divide_up(conv.width, conv.stride_w),
        lines = divide_up(conv.height, conv.stride_h);
        for (int i = 0; i < conv.stride_w; i++) {
            x.push_back(phase_of(i, conv.kernel_w, conv.stride_w, conv.dilation_w, conv.pad_left));
        }
        for (int i = 0; i < conv.stride_h; i++) {
            y.push_back(phase_of(i, conv.kernel_h, conv.stride_h, conv.dilation_h, conv.pad_top));
        }
        reach_x = reach_of(x), reach_y = reach_of(y);
    }
    int phases() const { return conv.stride_w * conv.stride_h; }
    double staged_bytes(int rows) const {
        return 4.0 * conv.out_channels * (columns + reach_x.high - reach_x.low) *
               (rows + reach_y.high - reach_y.low);
    }
};

// The accumulator of each phase over (c, x / stride, y / stride, n), and its reduction.
struct PhaseSum {
    Func sum;
    RDom taps;  // (k, tap in x, tap in y)
};

// The sums of all phases, phase x + stride_w * y, from dy over coordinates shifted by the reach.
std::vector<PhaseSum> define_phases(const StridedPlan& plan, const Func& filter,
                                    const Func& staged) {
    const ConvShape& conv = plan.conv;
    Var c("c"), x("x"), y("y"), n("n");
    std::vector<PhaseSum> phases;
    for (int i = 0; i < conv.stride_h * conv.stride_w; i++) {
        const Phase& px = plan.x[static_cast<size_t>(i % conv.stride_w)];
        const Phase& py = plan.y[static_cast<size_t>(i / conv.stride_w)];
        PhaseSum phase{Func("phase" + std::to_string(i)), RDom()};
        phase.sum(c, x, y, n) = 0.0F;
        if (px.count * py.count > 0) {
            phase.taps =
                RDom(0, conv.readers(), 0, px.count, 0, py.count, "taps" + std::to_string(i));
            const RDom& r = phase.taps;
            Expr kx = conv.kernel_w - 1 - (px.first + r.y * px.step);
            Expr ky = conv.kernel_h - 1 - (py.first + r.z * py.step);
            phase.sum(c, x, y, n) +=
                filter(c % 16, r.x, kx, ky, c / 16) *
                staged(channel_in_group(conv, c, r.x, conv.filter_channels(), conv.readers()),
                       x + (px.offset - plan.reach_x.low) - r.y * px.shift,
                       y + (py.offset - plan.reach_y.low) - r.z * py.shift, n);
        }
        phases.push_back(phase);
    }
    return phases;
}

void schedule_phase(PhaseSum& phase, Func out, const Var& at, int kw, int tx) {
    const int vector = std::min(kw, 16);
    std::vector<Var> v = phase.sum.args();
    phase.sum.compute_at(out, at).bound_extent(v[0], kw).bound_extent(v[1], tx).bound_extent(v[2],
                                                                                             1);
    phase.sum.vectorize(v[0], vector).unroll(v[0]).unroll(v[1]).unroll(v[2]);
    if (!phase.sum.has_update_definition()) return;
    phase.sum.update()
        .reorder(v[0], v[1], v[2], phase.taps.x, phase.taps.y, phase.taps.z)
        .vectorize(v[0], vector)
        .unroll(v[0])
        .unroll(v[1])
        .unroll(v[2]);
}

// The sums of all phases as one Func over (c, x, y, n). Taps beyond those of a phase are left out;
// which ones is known outside the loop over channels.
PhaseSum define_looped_phases(const StridedPlan& plan, const Func& filter, const Func& staged) {
    const ConvShape& conv = plan.conv;
    Var c("c"), x("x"), y("y"), n("n");
    // `field` of the phases along an axis, looked up at position `at`.
    const auto table = [](const std::vector<Phase>& phases, int Phase::* field, const Expr& at) {
        std::vector<Expr> values;
        for (const Phase& p : phases) values.emplace_back(p.*field);
        if (values.size() == 1) return values[0];
        return Halide::mux(at % static_cast<int>(values.size()), values);
    };
    const auto most = [](const std::vector<Phase>& phases) {
        int count = 1;
        for (const Phase& p : phases) count = std::max(count, p.count);
        return count;
    };
    PhaseSum result{Func("phases"),
                    RDom(0, conv.readers(), 0, most(plan.x), 0, most(plan.y), "taps")};
    RDom& r = result.taps;
    r.where(r.y < table(plan.x, &Phase::count, x));
    r.where(r.z < table(plan.y, &Phase::count, y));
    // The clamps change nothing: they tell Halide what is read.
    const auto tap = [&](const std::vector<Phase>& phases, const Expr& at, const Expr& i,
                         int kernel) {
        const Expr first = table(phases, &Phase::first, at);
        return Halide::clamp(kernel - 1 - (first + i * phases[0].step), 0, kernel - 1);
    };
    const auto place = [&](const std::vector<Phase>& phases, const Expr& at, const Expr& i,
                           const Reach& reach) {
        const Expr offset = table(phases, &Phase::offset, at) - i * phases[0].shift;
        return Halide::clamp(offset - reach.low, 0, reach.high - reach.low);
    };
    result.sum(c, x, y, n) = 0.0F;
    result.sum(c, x, y, n) +=
        filter(c % 16, r.x, tap(plan.x, x, r.y, conv.kernel_w), tap(plan.y, y, r.z, conv.kernel_h),
               c / 16) *
        staged(channel_in_group(conv, c, r.x, conv.filter_channels(), conv.readers()),
               x / conv.stride_w + place(plan.x, x, r.y, plan.reach_x),
               y / conv.stride_h + place(plan.y, y, r.z, plan.reach_y), n);
    return result;
}

// One row of a tile, phase by phase in x.
void schedule_looped_phases(PhaseSum& phase, Func out, const Var& at, int kw, int tx, int stride) {
    const int vector = std::min(kw, 16);
    const std::vector<Var> v = phase.sum.args();
    const RDom& r = phase.taps;
    Var xt("xt"), xp("xp");
    phase.sum.compute_at(out, at).bound_extent(v[0], kw).bound_extent(v[2], 1);
    phase.sum.bound_extent(v[1], tx * stride).vectorize(v[0], vector).unroll(v[0]);
    phase.sum.update()
        .split(v[1], xt, xp, stride, TailStrategy::GuardWithIf)
        .reorder(v[0], xt, r.x, r.y, r.z, xp, v[2])
        .vectorize(v[0], vector)
        .unroll(v[0])
        .unroll(xt);
}

// The register tiles of a phase, best first. Where lanes are groups, few columns by all channels,
// as they lie in memory: 8 samples of 128 channels on 56x56 by 3x3 and stride 2 take 1.3 ms with
// 2 or 4 columns and 1.6 with 7 (Zen 4, one core).
std::vector<RegisterTile> tiles_of(const StridedPlan& plan, const Isa& isa) {
    if (!plan.conv.has_lane_groups())
        return register_tiles(isa, plan.blocks, plan.columns, 1, 1, 1, 6);
    std::vector<RegisterTile> tiles;
    for (int x = 1; x <= std::min(plan.columns, 4); x++)
        tiles.push_back({isa.lanes > 8 ? 16 : 8, x, 1});
    const auto cycles = [&](const RegisterTile& t) {
        return divide_up(plan.columns, t.x) * (t.x + 1);
    };
    std::stable_sort(tiles.begin(), tiles.end(), [&](const RegisterTile& a, const RegisterTile& b) {
        return cycles(a) < cycles(b);
    });
    return tiles;
}

}  // namespace

bool DirectStridedDataGradient::applies(const Group& group, const Isa&) const {
    const auto* op = anchor_as<Conv2dBackwardData>(group);
    if (op == nullptr || !op->rotated || !has_direct_groups(group) || group.has_prologue(1))
        return false;
    return group.epilogue_window() == std::vector<int64_t>{1, 1};
}

TilingSpace DirectStridedDataGradient::space(const Group& group, const Isa& isa) const {
    const StridedPlan plan(group);
    return {{"kw", tile_channels(isa, plan.blocks, 8)},
            {"tx", {}, 1, std::min(plan.columns, accumulator_limit(isa))},
            {"rows", {}, 1, plan.lines}};
}

std::string DirectStridedDataGradient::clash(const Group&, const Tiling& tiling,
                                             const Isa& isa) const {
    return register_fault(isa, tiling.at("kw"), tiling.at("tx"));
}

std::vector<Tiling> DirectStridedDataGradient::tilings(const Group& group, const Isa& isa) const {
    StridedPlan plan(group);
    std::vector<Tiling> tilings;
    for (const RegisterTile& tile : tiles_of(plan, isa)) {
        if (tile.y != 1) continue;
        int found = 0;
        for (int parts = 1; parts <= plan.lines && found < 3; parts++) {
            int rows = divide_up(plan.lines, parts);
            if (parts > 1 && rows == divide_up(plan.lines, parts - 1)) continue;
            bool last = rows == 1;
            if (!last &&
                (plan.staged_bytes(rows) > 320e3 || group.batch * divide_up(plan.lines, rows) < 8))
                continue;
            tilings.push_back({{{"kw", tile.channels}, {"tx", tile.x}, {"rows", rows}}});
            found++;
        }
    }
    return tilings;
}

double DirectStridedDataGradient::cost(const Group& group, const Tiling& tiling, const Isa& isa,
                                       const Machine& machine) const {
    StridedPlan plan(group);
    int kw = tiling.at("kw"), tx = tiling.at("tx"), rows = tiling.at("rows");
    double ideal = tile_registers(isa, kw, tx) / 2.0;
    double covered = divide_up(plan.columns, tx) * tx / static_cast<double>(plan.columns);
    double efficiency = 0.88 * ideal / step_cycles(isa, kw, tx) / covered;
    return roofline(machine, isa, group.batch * plan.conv.multiply_adds(), efficiency,
                    traffic_bytes(group), 1.0 * group.batch * divide_up(plan.lines, rows));
}

std::vector<Func> DirectStridedDataGradient::build(KernelContext& context,
                                                   const Tiling& tiling) const {
    const StridedPlan plan(context.group());
    const ConvShape& conv = plan.conv;
    const int kw = tiling.at("kw"), tx = tiling.at("tx"), rows = tiling.at("rows");
    const int sw = conv.stride_w, sh = conv.stride_h;

    // Algorithm. The border of dy is zero after the prologue.
    Func staged = with_border(context.operand(0), conv.out_width, conv.out_height,
                              -plan.reach_x.low, -plan.reach_y.low);
    const bool is_looped = plan.phases() > kUnrolledPhases;
    std::vector<PhaseSum> phases;
    Var c("c"), x("x"), y("y"), n("n");
    Func accumulator("accumulator");
    if (is_looped) {
        phases = {define_looped_phases(plan, context.operand(1), staged)};
        accumulator(c, x, y, n) = phases[0].sum(c, x, y, n);
    } else {
        phases = define_phases(plan, context.operand(1), staged);
        std::vector<Expr> values;
        for (PhaseSum& phase : phases) values.push_back(phase.sum(c, x / sw, y / sh, n));
        accumulator(c, x, y, n) =
            values.size() == 1 ? values[0] : Halide::mux(x % sw + sw * (y % sh), values);
    }
    Func out = context.finish(accumulator);

    // Schedule.
    std::vector<Var> at = out.args(), border = staged.args();
    Var ko("ko"), kt("kt"), kb("kb"), kl("kl"), xo("xo"), xi("xi"), yo("yo"), yt("yt"), yi("yi"),
        task("task");
    split_guarded(out, at[0], ko, kt, kw, plan.channels);
    out.split(kt, kb, kl, std::min(kw, 16), TailStrategy::RoundUp);
    split_guarded(out, at[1], xo, xi, tx * sw, conv.width);
    split_guarded(out, at[2], yo, yt, rows * sh, conv.height);
    out.split(yt, yt, yi, sh, TailStrategy::RoundUp);
    out.reorder(kl, kb, xi, yi, xo, yt, ko, yo, at[3]);
    if (is_looped) {
        schedule_looped_phases(phases[0], out, yi, kw, tx, sw);
    } else {
        out.unroll(xi).unroll(yi);
        for (PhaseSum& phase : phases) schedule_phase(phase, out, xo, kw, tx);
    }
    out.fuse(yo, at[3], task).parallel(task).vectorize(kl).unroll(kb);
    staged.compute_at(out, task)
        .bound_storage(border[1],
                       divide_up(plan.columns, tx) * tx + plan.reach_x.high - plan.reach_x.low)
        .bound_storage(border[2], rows + plan.reach_y.high - plan.reach_y.low)
        .never_partition_all();
    vectorize_staging(staged, border[0], border[1], conv.out_channels);
    return {out};
}

}  // namespace emulsion
