// Chains, parts and their trees.
#include "schedules/gpu/sums/gpu_sums.h"

#include <algorithm>
#include <functional>

#include "compiler/graph/limits.h"
#include "compiler/ops/moments.h"
#include "compiler/ops/reduce.h"
#include "compiler/ops/strict.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/common/anchor.h"
#include "schedules/common/funcs.h"
#include "schedules/common/group_work.h"
#include "schedules/gpu/common/elements.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Var;

namespace {

constexpr int kBlockChannels = 8;
constexpr int kChains = 16;
constexpr int kLonelySteps = 64;  // of a chain, up to which there is one part
constexpr int kPartSteps = 32;    // about, where there are several
constexpr int kMostParts = 64;
constexpr int kResultThreads = 64;

// What is summed: `terms` for each channel, of the whole batch, in parts of `chains` chains.
struct SumPlan {
    int channels = 1;
    int block = 1;  // channels of a block
    int chains = kChains;
    int parts = 1;
    int steps = 1;  // of a chain

    SumPlan(int channels_, int64_t terms) : channels(channels_) {
        block = channels == 1 ? 1 : kBlockChannels;
        if (channels == 1) chains = kChains * kBlockChannels;
        const int64_t all_steps = (terms + chains - 1) / chains;
        if (all_steps > kLonelySteps)
            parts = to_int(std::clamp<int64_t>(all_steps / kPartSteps, 2, kMostParts));
        steps = to_int((all_steps + parts - 1) / parts);
    }
    // Whether one kernel makes sums and results: nothing lies between two.
    bool is_one_kernel() const { return parts == 1; }
    int result_threads() const { return is_one_kernel() ? block : kResultThreads; }
};

// Positions of a map in memory, of one sample.
int64_t area_of(const TensorType& map) {
    int64_t area = 1;
    const std::vector<int64_t> extents = memory_extents(map);
    for (size_t i = 1; i < extents.size(); i++) area *= extents[i];
    return area;
}

int channels_of(const TensorType& map) {
    return map.shape.empty() ? 1 : to_int(memory_extents(map)[0]);
}

// Value i of channel c: positions of a sample after one another, then samples. Of a parameter, its
// lanes are the channels, and what else it holds is one sample.
Expr term_of(const Func& x, const TensorType& map, const Expr& c, const Expr& i) {
    const std::vector<int64_t> extents = memory_extents(map);
    std::vector<Expr> at;
    if (!extents.empty()) at.push_back(c);
    Expr rest = i;
    for (size_t k = 1; k < extents.size(); k++) {
        at.push_back(rest % to_int(extents[k]));
        rest = rest / to_int(extents[k]);
    }
    if (map.batched) at.push_back(rest);
    return x(at);
}

// The sums of all channels in parts, as a Func (c, part) of a kernel of its own.
class PartialSums {
  public:
    using Term = std::function<Expr(const Expr& c, const Expr& i)>;

    PartialSums(const std::string& name, const SumPlan& plan, const Expr& count, const Term& term)
        : partial(name), plan_(plan), chain_(name + "_chain") {
        const Var c("c"), u("u"), part("part");
        const RDom j(0, plan.steps, name + "_j");
        const Expr i = (part * plan.steps + j) * plan.chains + u;
        const Expr channel = Halide::min(c, plan.channels - 1);
        chain_(c, u, part) = 0.0F;
        chain_(c, u, part) =
            Strict(chain_(c, u, part)) +
            Strict(Halide::select(i < count, term(channel, Halide::min(i, count - 1)), 0.0F));
        partial(c, part) = over_chains(c, part);
    }

    // Over all parts.
    Expr total(const Expr& c) const {
        if (plan_.is_one_kernel()) return over_chains(c, 0);
        std::vector<Expr> parts;
        for (int k = 0; k < plan_.parts; k++) parts.push_back(partial(c, k));
        return tree_sum(parts);
    }

    // `shared`: Funcs of the channel that every chain reads. The sums are a kernel of their own, or
    // part of that of `results`, by the block.
    void schedule(const Func& results, const std::vector<Func>& shared = {}) {
        if (plan_.is_one_kernel()) return compute_chains(results, Var("block"), shared);
        const Var c = partial.args()[0], part = partial.args()[1], outer("co"), inner("ci");
        partial.split(c, outer, inner, plan_.block, TailStrategy::GuardWithIf)
            .reorder(inner, outer, part)
            .gpu_threads(inner)
            .gpu_blocks(outer, part);
        compute_chains(partial, outer, shared);
    }

    Func partial;

  private:
    Expr over_chains(const Expr& c, const Expr& part) const {
        std::vector<Expr> chains;
        for (int k = 0; k < plan_.chains; k++) chains.push_back(chain_(c, k, part));
        return tree_sum(chains);
    }

    void compute_chains(const Func& in, const Var& block, const std::vector<Func>& shared) {
        for (Func func : shared) {
            func.compute_at(in, block)
                .store_in(Halide::MemoryType::GPUShared)
                .bound_extent(func.args()[0], plan_.block)
                .gpu_threads(func.args()[0]);
        }
        chain_.compute_at(in, block)
            .store_in(Halide::MemoryType::GPUShared)
            .bound_extent(chain_.args()[0], plan_.block)
            .bound_extent(chain_.args()[1], plan_.chains);
        for (Halide::Stage stage : {Halide::Stage(chain_), Halide::Stage(chain_.update())})
            stage.gpu_threads(chain_.args()[0], chain_.args()[1]);
    }

    SumPlan plan_;
    Func chain_;
};

// A vector of channels, zero in the padding of its last block.
Func padded(const Var& k, int channels, const std::function<Expr(const Expr&)>& value) {
    Func result("result");
    result(k) = Halide::select(k < channels, value(Halide::min(k, channels - 1)), 0.0F);
    return result;
}

// Over all samples, or over a whole parameter.
bool sums_all(const Group& group) {
    const auto* reduce = anchor_as<Reduce>(group);
    if (reduce == nullptr || anchor_as<ReduceAxes>(group) != nullptr) return false;
    return group.anchor_input(0).batched ? !reduce->keep_samples : !reduce->keep_channels;
}

int samples_of(const Group& group) { return group.anchor_input(0).batched ? group.batch : 1; }

SumPlan plan_of(const Group& group) {
    const TensorType& x = group.anchor_input(0);
    if (anchor_as<MergeMoments>(group) != nullptr)
        return SumPlan(to_int(x.shape[0]), x.shape[1] * group.batch);
    const int64_t positions = area_of(x) * samples_of(group);
    const int channels = channels_of(x);
    return anchor_as<Reduce>(group)->keep_channels ? SumPlan(channels, positions)
                                                   : SumPlan(1, positions * channels);
}

std::vector<Func> build_reduce(KernelContext& context, const Reduce& op) {
    const TensorType& type = context.group().anchor_input(0);
    const SumPlan plan = plan_of(context.group());
    const Func x = context.operand(0);
    const int area = to_int(area_of(type)), channels = channels_of(type);
    const Expr samples = type.batched ? context.samples() : Expr(1), positions = samples * area;
    PartialSums sums("partial", plan, op.keep_channels ? positions : positions * channels,
                     [&](const Expr& c, const Expr& i) {
                         return op.term(op.keep_channels
                                            ? term_of(x, type, c, i)
                                            : term_of(x, type, i % channels, i / channels));
                     });
    const auto result = [&](const Expr& c) -> Expr {
        if (!op.mean) return sums.total(c);
        const Strict count =
            Strict(static_cast<float>(op.terms(type))) * Strict(Halide::cast<float>(samples));
        return Strict(sums.total(c)) / count;
    };
    const Var k("k");
    Func value("value");
    if (op.keep_channels) {
        value = padded(k, channels, result);
    } else {
        value() = result(0);
    }
    const Func stored =
        schedule_stores(context.finish(value), plan.result_threads(), /*vectors=*/false);
    sums.schedule(stored);
    if (plan.is_one_kernel()) return {stored};
    return {stored, sums.partial};
}

// Chan's formula in two passes over the strips: the mean, around the first strip's pivot, then the
// squared deviations from it.
std::vector<Func> build_merge(KernelContext& context, const MergeMoments& op) {
    const Group& group = context.group();
    const SumPlan plan = plan_of(group);
    const int strips = to_int(group.anchor_input(0).shape[1]);
    const int width = to_int(op.width), height = to_int(op.height);
    const Func pivots = context.operand(0), offsets = context.operand(1),
               squared = context.operand(2);
    const Expr count = context.samples() * strips;
    const Strict total(Halide::cast<float>(context.samples() * (width * height)));
    const auto size = [&](const Expr& i) { return Strict(strip_count(i % strips, width, height)); };
    const auto at = [&](const Func& table, const Expr& c, const Expr& i) {
        return Strict(table(c, 0, i % strips, i / strips));
    };
    PartialSums drift("drift", plan, count, [&](const Expr& c, const Expr& i) {
        return Expr((at(pivots, c, i) - at(pivots, c, 0)) * size(i) + at(offsets, c, i));
    });
    const auto mean_of = [&](const Expr& c) {
        return Expr(at(pivots, c, 0) + Strict(drift.total(c)) / total);
    };
    const Var c("c"), k("k");
    Func mean("mean");
    mean(c) = mean_of(Halide::min(c, plan.channels - 1));
    PartialSums squares("squares", plan, count, [&](const Expr& ch, const Expr& i) {
        const Strict average = at(offsets, ch, i) / size(i);
        const Strict apart = (at(pivots, ch, i) - Strict(mean(ch))) + average;
        return Expr((at(squared, ch, i) - average * at(offsets, ch, i)) +
                    size(i) * (apart * apart));
    });
    const std::vector<Func> results = {padded(k, plan.channels, mean_of),
                                       padded(k, plan.channels, [&](const Expr& ch) {
                                           return Expr(Strict(squares.total(ch)) / total);
                                       })};
    const Func stored =
        schedule_stores(context.finish(results), plan.result_threads(), /*vectors=*/false);
    drift.schedule(stored);
    squares.schedule(stored, {mean});
    if (plan.is_one_kernel()) return {stored};
    return {stored, drift.partial, squares.partial};
}

}  // namespace

bool GpuSums::applies(const Group& group, const Isa&) const {
    if (group.anchor < 0 || !has_shape_of_anchor(group, /*batched=*/false)) return false;
    return sums_all(group) || anchor_as<MergeMoments>(group) != nullptr;
}

std::vector<Tiling> GpuSums::tilings(const Group&, const Isa&) const { return {{}}; }

double GpuSums::cost(const Group& group, const Tiling& tiling, const Isa&, const Machine&) const {
    return device_seconds(1 + static_cast<double>(scratch(group, tiling).size()),
                          traffic_bytes(group));
}

std::vector<Scratch> GpuSums::scratch(const Group& group, const Tiling&) const {
    const SumPlan plan = plan_of(group);
    if (plan.is_one_kernel()) return {};
    if (anchor_as<MergeMoments>(group) == nullptr)
        return {{"partial", {plan.channels, plan.parts}}};
    return {{"drift", {plan.channels, plan.parts}}, {"squares", {plan.channels, plan.parts}}};
}

std::vector<Func> GpuSums::build(KernelContext& context, const Tiling&) const {
    const Group& group = context.group();
    if (const auto* merge = anchor_as<MergeMoments>(group)) return build_merge(context, *merge);
    return build_reduce(context, *anchor_as<Reduce>(group));
}

}  // namespace emulsion
