// Chains, parts and the two kernels of a depthwise filter's gradient.
//
// A tiling is
//     channels    of a block
//     chains      of a part     } the order of a sum follows from these
//     parts       of the batch  }
#include "schedules/gpu/depthwise/gpu_depthwise_filter_gradient.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/graph/limits.h"
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
using Halide::MemoryType;
using Halide::RDom;
using Halide::Stage;
using Halide::TailStrategy;
using Halide::Var;

namespace {

constexpr int kLanes = static_cast<int>(kBlock);
constexpr int kMostTaps = 25;       // whose sums a thread has in registers, in whole rows
constexpr int kMostTapsInRow = 32;  // a row alone may be so long
constexpr int kMostChains = 16;
constexpr int kFewestSteps = 8;  // of a chain, where there are several parts
constexpr int kMostParts = 128;

struct Gradient {
    int channels = 0, taps_w = 1, taps_h = 1, width = 1, height = 1;  // of dy
    int multiplier = 1;  // channels of dy for each of the map
    // Rows of taps that one block sums.
    int rows() const {
        return divide_up(taps_h, divide_up(taps_h, std::max(1, kMostTaps / taps_w)));
    }
    int block_taps() const { return rows() * taps_w; }
    int taps() const { return taps_w * taps_h; }
    int lanes() const { return channels % kDeviceVector == 0 ? kDeviceVector : 1; }
    int64_t positions(int batch) const { return int64_t{width} * height * batch; }
    int most_parts() const {
        const std::vector<int64_t> sums = {channels, taps()};
        return to_int(std::min<int64_t>(kMostParts, most_copies(sums)));
    }
};

Gradient gradient_of(const Group& group) {
    const auto& conv = *anchor_as<Conv2dBackwardFilter>(group);
    const std::vector<int64_t>& dy = group.anchor_input(1).shape;
    return {
        to_int(dy[0]),          to_int(conv.kernel[1]),
        to_int(conv.kernel[0]), to_int(dy[2]),
        to_int(dy[1]),          depthwise_multiplier(group.anchor_input(0), group.anchor_input(1))};
}

struct Parts {
    int channels, chains, parts;
    explicit Parts(const Tiling& tiling)
        : channels(tiling.at("channels")), chains(tiling.at("chains")), parts(tiling.at("parts")) {}
    // Of a chain.
    int steps(const Gradient& g, int batch) const {
        const int64_t terms = (g.positions(batch) + parts - 1) / parts;
        return to_int((terms + chains - 1) / chains);
    }
};

int default_parts(const Gradient& g, int channels, int chains, int batch) {
    const int64_t steps = (g.positions(batch) + chains - 1) / chains;
    const int blocks = divide_up(g.channels, channels) * divide_up(g.taps_h, g.rows());
    return parts_that_fill(blocks, std::min<int64_t>(g.most_parts(), steps / kFewestSteps));
}

// The sums of all taps of one thread, and what they are made of.
struct ChainSums {
    Func dy{"dy"}, sums{"sums"}, chain{"chain"};
    Var c{"c"}, tap{"tap"}, u{"u"}, part{"part"};
    RDom r;
};

ChainSums chain_sums(const KernelContext& context, const Gradient& g, const Parts& parts) {
    const auto& conv = *anchor_as<Conv2dBackwardFilter>(context.group());
    const std::vector<int64_t>& shape = context.group().anchor_input(0).shape;
    const Window window = conv.window(conv.kernel[0], conv.kernel[1]);
    const int steps = parts.steps(g, context.group().batch);
    ChainSums s;
    s.r = RDom(0, steps, "r");
    const Var j("j");
    const Expr channel = channel_in(s.c, g.channels);
    const auto position = [&](const Expr& step) {
        return (s.part * steps + step) * parts.chains + s.u;
    };
    const Expr count = context.samples() * (g.width * g.height);
    const auto inside = [&](const Expr& step) { return Halide::min(position(step), count - 1); };
    const auto x_of = [&](const Expr& step) { return inside(step) % g.width; };
    const auto y_of = [&](const Expr& step) { return inside(step) / g.width % g.height; };
    const auto n_of = [&](const Expr& step) { return inside(step) / (g.width * g.height); };
    s.dy(s.c, s.u, j, s.part) =
        value_or_zero(position(j) < count, context.operand(1)(channel, x_of(j), y_of(j), n_of(j)));
    const Position px = tap_position(window, 1, shape[2], x_of(s.r), s.tap % g.taps_w);
    const Position py = tap_position(window, 0, shape[1], y_of(s.r), s.tap / g.taps_w);
    const Expr source = g.multiplier == 1 ? channel : channel / g.multiplier;
    const Expr x =
        value_or_zero(px.inside && py.inside, context.operand(0)(source, px.at, py.at, n_of(s.r)));
    s.sums(s.c, s.tap, s.u, s.part) = 0.0F;
    s.sums(s.c, s.tap, s.u, s.part) += x * s.dy(s.c, s.u, s.r, s.part);
    s.chain(s.c, s.tap, s.u, s.part) = s.sums(s.c, s.tap, s.u, s.part);
    return s;
}

// A grid of blocks of channels, rows of taps and parts.
void schedule_partial(Func partial, ChainSums s, const Gradient& g, const Parts& parts) {
    const Var cq("cq"), cv("cv"), co("co"), ci("ci"), thread("thread"), slice("slice"), ti("ti");
    const std::vector<Var> axes = partial.args();  // c, tap, part
    partial.split(axes[0], co, ci, parts.channels, TailStrategy::GuardWithIf)
        .split(axes[1], slice, ti, g.block_taps(), TailStrategy::GuardWithIf)
        .reorder(ti, ci, co, axes[2], slice)
        .gpu_threads(ci)
        .gpu_blocks(co, axes[2], slice);
    s.chain.compute_at(partial, co)
        .store_in(MemoryType::GPUShared)
        .bound_extent(s.c, parts.channels)
        .bound_extent(s.tap, g.block_taps())
        .bound_extent(s.u, parts.chains)
        .split(s.c, cq, cv, g.lanes(), TailStrategy::RoundUp)
        .reorder({cv, s.tap, cq, s.u, s.part})
        .vectorize(cv)
        .unroll(s.tap)
        .fuse(cq, s.u, thread)
        .gpu_threads(thread);
    s.sums.compute_at(s.chain, thread).store_in(MemoryType::Register);
    s.sums.vectorize(s.c, g.lanes()).unroll(s.tap);
    s.sums.update().reorder(s.c, s.tap, s.r).vectorize(s.c, g.lanes()).unroll(s.tap);
    s.dy.compute_at(s.sums, s.r).vectorize(s.c, g.lanes());
}

}  // namespace

bool GpuDepthwiseFilterGradient::applies(const Group& group, const Isa& isa) const {
    const auto* conv = anchor_as<Conv2dBackwardFilter>(group);
    if (conv == nullptr || !is_depthwise(*conv, group.anchor_input(0))) return false;
    return has_shape_of_anchor(group, /*batched=*/false) &&
           gradient_of(group).block_taps() <= kMostTapsInRow && !tilings(group, isa).empty();
}

TilingSpace GpuDepthwiseFilterGradient::space(const Group& group, const Isa&) const {
    return {{"channels", {8, 16, 32, 64}},
            {"chains", {1, 2, 4, 8, 16, 32}, 0, -1, true},
            {"parts", {}, 1, gradient_of(group).most_parts(), true}};
}

std::string GpuDepthwiseFilterGradient::clash(const Group& group, const Tiling& tiling,
                                              const Isa& isa) const {
    const Gradient g = gradient_of(group);
    const Parts parts(tiling);
    const int threads = std::max(parts.channels, parts.channels / g.lanes() * parts.chains);
    if (threads > isa.block_threads)
        return fmt::format("a block of {} threads, but it may have {}", threads, isa.block_threads);
    const int64_t bytes = int64_t{4} * parts.channels * parts.chains * g.block_taps();
    if (bytes <= isa.shared_bytes) return "";
    return fmt::format("{} bytes of shared memory, but a block may have {}", bytes,
                       isa.shared_bytes);
}

std::vector<Tiling> GpuDepthwiseFilterGradient::tilings(const Group& group, const Isa& isa) const {
    const Gradient g = gradient_of(group);
    const int channels = g.channels <= 8 ? 8 : g.channels <= 16 ? 16 : 32;
    for (int chains = kMostChains; chains >= 1; chains /= 2) {
        const int parts = default_parts(g, channels, chains, group.batch);
        const Tiling tiling{{{"channels", channels}, {"chains", chains}, {"parts", parts}}};
        if (clash(group, tiling, isa).empty()) return {tiling};
    }
    return {};
}

double GpuDepthwiseFilterGradient::cost(const Group& group, const Tiling& tiling, const Isa&,
                                        const Machine&) const {
    return device_seconds(2, traffic_bytes(group) + scratch_bytes(scratch(group, tiling)),
                          static_cast<double>(group.multiply_adds()), 0.1);
}

std::vector<Scratch> GpuDepthwiseFilterGradient::scratch(const Group& group,
                                                         const Tiling& tiling) const {
    const Gradient g = gradient_of(group);
    return {{"partial", {g.channels, g.taps(), tiling.at("parts")}}};
}

std::vector<Func> GpuDepthwiseFilterGradient::build(KernelContext& context,
                                                    const Tiling& tiling) const {
    const Gradient g = gradient_of(context.group());
    const Parts parts(tiling);
    ChainSums s = chain_sums(context, g, parts);
    Func partial("partial"), merged("merged");
    std::vector<Expr> chains;
    for (int k = 0; k < parts.chains; k++) chains.push_back(s.chain(s.c, s.tap, k, s.part));
    partial(s.c, s.tap, s.part) = tree_sum(chains);
    schedule_partial(partial, s, g, parts);

    const TensorType& type = context.group().anchor_output();
    const std::vector<Var> vars = coordinates(type);  // lane, i, kx, ky, block
    const Expr channel = vars[0] + kLanes * vars[4];
    std::vector<Expr> terms;
    for (int k = 0; k < parts.parts; k++) {
        terms.push_back(
            partial(Halide::min(channel, g.channels - 1), vars[2] + g.taps_w * vars[3], k));
    }
    merged(vars) = value_or_zero(is_value(type, as_exprs(vars)), tree_sum(terms));
    const Func out =
        schedule_stores(context.finish(merged), std::min(256, context.isa().block_threads),
                        /*vectors=*/false);
    return {out, partial};
}

}  // namespace emulsion
