// Reductions: what is summed for each kind, and in which loops.
#include "schedules/cpu/sums/reduction.h"

#include <algorithm>
#include <functional>
#include <optional>

#include "compiler/graph/limits.h"
#include "compiler/ops/group_norm.h"
#include "compiler/ops/moments.h"
#include "compiler/ops/reduce.h"
#include "compiler/ops/strict.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/common/anchor.h"
#include "schedules/common/funcs.h"
#include "schedules/common/group_work.h"
#include "schedules/cpu/common/tiling.h"
#include "schedules/cpu/maps/helpers.h"
#include "schedules/cpu/maps/map.h"
#include "schedules/cpu/sums/axes_nest.h"
#include "schedules/cpu/sums/reduce_nest.h"
#include "schedules/cpu/sums/sample_sum.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::LoopLevel;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Tuple;
using Halide::Var;

namespace {

constexpr int kMostVectors = 8;  // of a chunk

// Sums over the positions of each channel, which are scheduled by schedule_samples or
// schedule_strips: the map, its own shape, and how many sums a channel has.
struct ChannelSums {
    MapShape map;
    SumShape shape;
    int values;
};

std::optional<ChannelSums> channel_sums(const Group& group) {
    if (group.anchor < 0) return std::nullopt;
    const MapShape map(group.anchor_input(0));
    if (!map.batched || map.positions() == 1) return std::nullopt;
    if (anchor_as<PartialMoments>(group) != nullptr || anchor_as<PartialDots>(group) != nullptr)
        return ChannelSums{map, SumShape(map, kStripRows), 2};
    const auto* reduce = anchor_as<Reduce>(group);
    const bool is_whole = reduce != nullptr && anchor_as<ReduceAxes>(group) == nullptr;
    if (!is_whole || !reduce->keep_channels) return std::nullopt;
    return ChannelSums{map, SumShape(map), 1};
}

// partial_moments: sums of deviations from the first value of a strip.
Func build_moments(const KernelContext& context, const Tiling& tiling) {
    const Group& group = context.group();
    const MapShape map(group.anchor_input(0));
    const SumShape shape = SumShape(map, kStripRows).tiled(tiling);
    const Func x = context.operand(0);
    const auto pivot = [&](const Expr& c, const Expr& strip, const Expr& n) {
        return x(map.at(c, 0, strip * kStripRows, n));
    };
    PositionSum sums(
        "sum", map, shape,
        [&](const Expr& c, const Expr& i, const Expr& y, const Expr& strip, const Expr& n) {
            const Strict d = Strict(x(map.at(c, i, y, n))) - Strict(pivot(c, strip, n));
            return std::vector<Expr>{d, d * d};
        });
    const Var c("c"), w("w"), s("s"), n("n");
    Func result("result");
    result(c, w, s, n) = Tuple(pivot(c, s, n), sums.block(0, c, s, n), sums.block(1, c, s, n));
    Func out = context.finish(result);
    sums.compute_at(schedule_strips(out, shape, map, group.batch));
    return out;
}

// partial_dots: sum of dy and of dy * (x - mean).
Func build_dots(const KernelContext& context, const Tiling& tiling) {
    const Group& group = context.group();
    const MapShape map(group.anchor_input(1));
    const SumShape shape = SumShape(map, kStripRows).tiled(tiling);
    const Func dy = context.operand(0), x = context.operand(1), mean = context.operand(2);
    const bool of_sample = group.anchor_input(2).batched;
    PositionSum sums("dots", map, shape,
                     [&](const Expr& c, const Expr& i, const Expr& y, const Expr&, const Expr& n) {
                         const Strict g(dy(map.at(c, i, y, n)));
                         const Strict m(of_sample ? Expr(mean(c, n)) : Expr(mean(c)));
                         return std::vector<Expr>{g, g * (Strict(x(map.at(c, i, y, n))) - m)};
                     });
    const Var c("c"), w("w"), s("s"), n("n");
    Func result("result");
    result(c, w, s, n) = Tuple(sums.block(0, c, s, n), sums.block(1, c, s, n));
    Func out = context.finish(result);
    sums.compute_at(schedule_strips(out, shape, map, group.batch));
    return out;
}

// merge_moments: Chan's formula over all strips, in two passes over their small table.
Func build_merge(const KernelContext& context, const MergeMoments& op) {
    const auto channels = to_int(context.group().anchor_input(0).shape[0]);
    const auto strips = to_int(context.group().anchor_input(0).shape[1]);
    const auto width = to_int(op.width), height = to_int(op.height);
    const Func pivots = context.operand(0), offsets = context.operand(1),
               squared = context.operand(2);
    const Expr count = context.samples() * strips;
    const Strict total(Halide::cast<float>(context.samples() * (width * height)));
    const auto size = [&](const Expr& i) { return Strict(strip_count(i % strips, width, height)); };
    const auto at = [&](const Func& table, const Expr& c, const Expr& i) {
        return Strict(table(c, 0, i % strips, i / strips));
    };
    const Var c("c"), k("k");
    Func mean("mean");
    // Around the first strip's pivot, so that a large common mean keeps its digits.
    const Func drift = sum_in_blocks("drift", count, channels, [&](const Expr& k2, const Expr& i) {
        return Expr((at(pivots, k2, i) - at(pivots, k2, 0)) * size(i) + at(offsets, k2, i));
    });
    mean(c) = at(pivots, c, 0) + Strict(drift(c)) / total;
    vectorize_first(mean.compute_root(), channels);
    const Func squares =
        sum_in_blocks("squares", count, channels, [&](const Expr& k2, const Expr& i) {
            const Strict average = at(offsets, k2, i) / size(i);
            const Strict apart = (at(pivots, k2, i) - Strict(mean(k2))) + average;
            return Expr((at(squared, k2, i) - average * at(offsets, k2, i)) +
                        size(i) * (apart * apart));
        });
    const Expr variance =
        padded_vector(k, channels, [&](const Expr& i) { return Expr(Strict(squares(i)) / total); });
    return finish_vector(
        context, k, {padded_vector(k, channels, [&](const Expr& i) { return mean(i); }), variance});
}

// Sums over groups of at least 16 channels go through 16 lanes and one tree, strip by strip; of
// many channels through four such vectors side by side, so that none waits for the one before it.
// Smaller groups are summed as in the plain definition.
class GroupLanes {
  public:
    Func operator()(const std::string& name, int channels, int strips, const GroupValue& value) {
        const Var lane("lane"), g("g"), n("n");
        Func total(name);
        total(g, n) = 0.0F;
        if (channels < kLanes) {
            const RDom r(0, channels, 0, strips, name + "_r");
            total(g, n) = strict_sum(total(g, n), value(r.x, r.y, g, n));
            side_by_side_.push_back(total);
            return total;
        }
        const int chains = channels >= kChained && channels % (kLanes * kChains) == 0 ? kChains : 1;
        RDom r(0, divide_up(channels, kLanes * chains), 0, strips, name + "_r");
        Expr i = r.x * (kLanes * chains) + lane;
        if (channels % kLanes != 0) {
            r.where(i < channels);
            i = Halide::min(i, channels - 1);  // tells Halide how far values are read
        }
        Func lanes(name + "_lanes");
        lanes(lane, g, n) = 0.0F;
        lanes(lane, g, n) = strict_sum(lanes(lane, g, n), value(i, r.y, g, n));
        std::vector<Expr> values;
        for (int k = 0; k < kLanes; k++) {
            std::vector<Expr> side_by_side;
            for (int chain = 0; chain < chains; chain++)
                side_by_side.emplace_back(lanes(chain * kLanes + k, g, n));
            values.push_back(tree_sum(side_by_side));
        }
        total(g, n) = strict_sum(total(g, n), tree_sum(values));
        lanes_.emplace_back(lanes, chains);
        return total;
    }
    // REQUIRES: the lanes are computed somewhere. `groups` are all of a sample.
    void vectorize(int groups) {
        const int width = std::min(groups, kLanes);
        for (Func& total : side_by_side_) {
            if (width == 1) break;
            const Var g = total.args()[0];
            total.vectorize(g, width, TailStrategy::GuardWithIf);
            total.update().vectorize(g, width, TailStrategy::GuardWithIf);
        }
        for (auto& [lanes, chains] : lanes_) {
            const Var lane = lanes.args()[0], chain("chain");
            lanes.bound_extent(lane, kLanes * chains)
                .vectorize(lane, kLanes, TailStrategy::RoundUp);
            Halide::Stage update = lanes.update();
            if (chains == 1) {
                update.vectorize(lane, kLanes, TailStrategy::RoundUp);
                continue;
            }
            const Var vector("vector");
            update.split(lane, chain, vector, kLanes, TailStrategy::RoundUp)
                .reorder(vector, chain, lanes.rvars()[0])
                .vectorize(vector)
                .unroll(chain);
        }
    }

  private:
    static constexpr int kChained = 256, kChains = 4;
    std::vector<std::pair<Func, int>> lanes_;  // with their chains
    std::vector<Func> side_by_side_;           // sums of small groups, each in a lane of its own
};

// group_statistics, group_coefficients: each sample's sums by themselves.
Func build_groups(KernelContext& context) {
    constexpr int64_t kTasks = 32;
    const Group& group = context.group();
    const TensorType& type = group.anchor_output();
    GroupLanes lanes;
    const LowerContext lowering = lower_context(group.body, group.anchor, context.samples());
    std::vector<Func> operands;
    for (int i = 0; i < static_cast<int>(lowering.inputs.size()); i++)
        operands.push_back(context.operand(i));
    const auto* statistics = anchor_as<GroupStatistics>(group);
    const auto* coefficients = anchor_as<GroupCoefficients>(group);
    Func out = context.finish(statistics != nullptr
                                  ? statistics->lower_with(lowering, operands, std::ref(lanes))
                                  : coefficients->lower_with(lowering, operands, std::ref(lanes)));
    const int64_t groups = statistics != nullptr ? statistics->groups : coefficients->groups;
    const int64_t each = std::max(type.shape[0], element_limit(type, group.batch) / kTasks);
    const bool is_parallel = traffic_bytes(group) >= 4.0 * kSerialElements;
    MapOptions options;
    if (is_parallel) options.task_elements = to_int(each);
    const MapLoops loops = schedule_map(out, type, group.batch, options);
    compute_helpers({out}, loops, type, {.batch = group.batch, .parallel = is_parallel});
    lanes.vectorize(to_int(groups));
    return out;
}

bool sums_groups(const Group& group) {
    return anchor_as<GroupStatistics>(group) != nullptr ||
           anchor_as<GroupCoefficients>(group) != nullptr;
}

}  // namespace

bool Reduction::applies(const Group& group, const Isa&) const {
    if (group.anchor < 0 || !has_one_shape(group)) return false;
    const TensorType& result = group.body.type(group.body.results()[0].value);
    if (result.shape != group.anchor_output().shape) return false;
    return anchor_as<Reduce>(group) != nullptr || anchor_as<PartialMoments>(group) != nullptr ||
           anchor_as<PartialDots>(group) != nullptr || anchor_as<MergeMoments>(group) != nullptr ||
           sums_groups(group);
}

TilingSpace Reduction::space(const Group& group, const Isa& isa) const {
    const std::optional<ChannelSums> sums = channel_sums(group);
    if (!sums) return {};
    TilingSpace space;
    const SumShape& own = sums->shape;
    std::vector<int> chunks;
    for (const int vectors :
         own.even ? divisors(sums->map.channels / kLanes, kMostVectors) : std::vector<int>()) {
        const int chunk = vectors * kLanes;
        if (chunk == own.chunk || register_fault(isa, chunk, own.chains * sums->values).empty())
            chunks.push_back(chunk);
    }
    if (chunks.size() > 1) space.push_back({"chunk", chunks, 0, -1, false, own.chunk});
    std::vector<int> units = {1};
    const int all = divide_up(sums->map.channels, own.chunk) * group.batch;
    if (is_worth_tasks(sums->map, group.batch)) {
        while (units.back() <= all / 4) units.push_back(2 * units.back());
    }
    if (units.size() > 1) space.push_back({"units", units, 0, -1, false, 1});
    return space;
}

std::vector<Tiling> Reduction::tilings(const Group&, const Isa&) const { return {{}}; }

double Reduction::cost(const Group& group, const Tiling&, const Isa&,
                       const Machine& machine) const {
    return 1e-6 + traffic_bytes(group) / (machine.bandwidth_gbs * 1e9);
}

std::vector<Func> Reduction::build(KernelContext& context, const Tiling& tiling) const {
    const Group& group = context.group();
    if (const auto* reduce = anchor_as<ReduceAxes>(group))
        return {AxesNest(context, *reduce).build()};
    if (const auto* reduce = anchor_as<Reduce>(group))
        return {ReduceNest(context, *reduce, tiling).build()};
    if (const auto* merge = anchor_as<MergeMoments>(group)) return {build_merge(context, *merge)};
    if (sums_groups(group)) return {build_groups(context)};
    const bool is_moments = anchor_as<PartialMoments>(group) != nullptr;
    return {is_moments ? build_moments(context, tiling) : build_dots(context, tiling)};
}

}  // namespace emulsion
