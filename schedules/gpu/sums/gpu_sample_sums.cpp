// What a result sums up, its chains and their tree.
//
// A tiling is
//     channels    of a block
//     chains      of a result; the order of a sum follows from it
#include "schedules/gpu/sums/gpu_sample_sums.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <functional>

#include "compiler/graph/limits.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/moments.h"
#include "compiler/ops/reduce.h"
#include "compiler/ops/strict.h"
#include "compiler/ops/window_lowering.h"
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
using Halide::Tuple;
using Halide::Var;

namespace {

constexpr int kBlockThreads = 128;  // what every device has
constexpr int kFewestSteps = 4;     // of a chain, where there are as many terms

// The map whose values are summed.
const TensorType& summed_map(const Group& group) {
    return group.anchor_input(anchor_as<PartialDots>(group) != nullptr ? 1 : 0);
}

int width_of(const TensorType& map) { return map.shape.size() > 2 ? to_int(map.shape[2]) : 1; }
int height_of(const TensorType& map) { return map.shape.size() > 2 ? to_int(map.shape[1]) : 1; }

// Values that a result sums up.
int terms_of(const Group& group) {
    const TensorType& map = summed_map(group);
    if (const auto* reduce = anchor_as<Reduce>(group)) return to_int(reduce->terms(map));
    return width_of(map) * std::min(height_of(map), to_int(kStripRows));
}

// Results that lie side by side: one for each channel, or one where channels are summed up.
int channels_of(const Group& group) {
    const TensorType& result = group.anchor_output();
    return result.shape.empty() ? 1 : to_int(result.shape[0]);
}

int default_channels(const Group& group) {
    const int channels = channels_of(group);
    return channels == 1 ? 1 : channels <= 8 ? 8 : channels <= 16 ? 16 : 32;
}

int default_chains(const Group& group) {
    const auto most = static_cast<unsigned>(std::max(1, terms_of(group) / kFewestSteps));
    return std::min(static_cast<int>(std::bit_floor(most)),
                    kBlockThreads / default_channels(group));
}

// Deals results to a grid of blocks of so many channels, a thread each; returns the loop over them.
Var schedule_grid(Func out, int channels) {
    const std::vector<Var> axes = out.args();
    const Var block("block"), thread("thread");
    if (axes.size() == 1) {
        out.split(axes[0], block, thread, 1);
    } else {
        Var grid("channel_block");
        out.split(axes[0], grid, thread, channels, TailStrategy::GuardWithIf);
        for (size_t i = 1; i < axes.size(); i++) {
            const Var fused = i + 1 == axes.size() ? block : Var(fmt::format("grid{}", i));
            out.fuse(grid, axes[i], fused);
            grid = fused;
        }
    }
    out.gpu_blocks(block).gpu_threads(thread);
    return block;
}

// Where a term lies, and whether it is there.
struct Place {
    std::vector<Expr> at;
    Expr is_there;
};

// Sums with a few components each, over the coordinates of the group's results.
class SampleSums {
  public:
    // Components of term i of the result at `at`, zero where it is not there.
    using Term = std::function<std::vector<Expr>(const std::vector<Expr>& at, const Expr& i)>;

    SampleSums(const Group& group, const Tiling& tiling, const Term& term)
        : axes_(coordinates(group.anchor_output())),
          channels_(channels_of(group)),
          block_(tiling.at("channels")),
          chains_(tiling.at("chains")) {
        const int terms = terms_of(group), steps = divide_up(terms, chains_);
        const RDom j(0, steps, "j");
        const Expr i = j * chains_ + u_;
        std::vector<Expr> at = as_exprs(axes_);
        if (has_channels()) at[0] = Halide::min(c_, channels_ - 1);
        std::vector<Expr> values = term(at, Halide::min(i, terms - 1));
        if (steps * chains_ != terms) {
            for (Expr& value : values) value = value_or_zero(i < terms, value);
        }
        const std::vector<Expr> place = as_exprs(chain_axes());
        define(std::vector<Expr>(values.size(), 0.0F));
        for (size_t k = 0; k < values.size(); k++)
            values[k] = Strict(component(chain_, place, k)) + Strict(values[k]);
        define(values);
    }

    const std::vector<Var>& axes() const { return axes_; }

    // Component k of the sum at the axes.
    Expr total(size_t k) const {
        std::vector<Expr> chains;
        for (int u = 0; u < chains_; u++) {
            std::vector<Expr> at = as_exprs(chain_axes());
            at[0] = has_channels() ? Expr(axes_[0]) : 0;
            at[1] = u;
            chains.push_back(component(chain_, at, k));
        }
        return tree_sum(chains);
    }

    // Blocks of `values`, the group's results; returns what stores them.
    Func schedule(Func values) {
        Func out = values;
        if (values.outputs() > 1) out = stored_copy(values, "stored");
        const Var block = schedule_grid(out, block_);
        if (values.outputs() > 1) values.compute_at(out, Var("thread"));
        chain_.compute_at(out, block)
            .store_in(Halide::MemoryType::GPUShared)
            .bound_extent(c_, block_)
            .bound_extent(u_, chains_);
        for (Halide::Stage stage : {Halide::Stage(chain_), Halide::Stage(chain_.update())})
            stage.gpu_threads(c_, u_);
        return out;
    }

  private:
    void define(const std::vector<Expr>& values) {
        if (values.size() == 1) {
            chain_(chain_axes()) = values[0];
        } else {
            chain_(chain_axes()) = Tuple(values);
        }
    }

    bool has_channels() const { return axes_.size() > 1; }

    std::vector<Var> chain_axes() const {
        std::vector<Var> axes = {c_, u_};
        axes.insert(axes.end(), axes_.begin() + (has_channels() ? 1 : 0), axes_.end());
        return axes;
    }

    std::vector<Var> axes_;
    int channels_, block_, chains_;
    Var c_{"chain_c"}, u_{"u"};
    Func chain_{"chain"};
};

// Term i of strip s.
Place strip_place(const TensorType& map, const std::vector<Expr>& at, const Expr& i) {
    if (map.shape.size() < 3) return {{at[0], at[3]}, Halide::Internal::const_true()};
    const int width = width_of(map), height = height_of(map), rows = to_int(kStripRows);
    const Expr y = at[2] * rows + i / width;
    if (height <= rows || height % rows == 0)
        return {{at[0], i % width, y, at[3]}, Halide::Internal::const_true()};
    return {{at[0], i % width, Halide::min(y, height - 1), at[3]}, y < height};
}

Func build_moments(KernelContext& context, const Tiling& tiling) {
    const Func x = context.operand(0);
    const TensorType& map = summed_map(context.group());
    const auto pivot = [&](const std::vector<Expr>& at) { return x(strip_place(map, at, 0).at); };
    SampleSums sums(context.group(), tiling, [&](const std::vector<Expr>& at, const Expr& i) {
        const Place place = strip_place(map, at, i);
        const Strict apart(
            value_or_zero(place.is_there, Strict(Expr(x(place.at))) - Strict(Expr(pivot(at)))));
        return std::vector<Expr>{apart, apart * apart};
    });
    Func result("result");
    result(sums.axes()) = Tuple(pivot(as_exprs(sums.axes())), sums.total(0), sums.total(1));
    return sums.schedule(context.finish(result));
}

Func build_dots(KernelContext& context, const Tiling& tiling) {
    const Func dy = context.operand(0), x = context.operand(1), mean = context.operand(2);
    const TensorType& map = summed_map(context.group());
    const bool of_sample = context.group().anchor_input(2).batched;
    SampleSums sums(context.group(), tiling, [&](const std::vector<Expr>& at, const Expr& i) {
        const Place place = strip_place(map, at, i);
        const Strict g(value_or_zero(place.is_there, dy(place.at)));
        const Strict m(of_sample ? Expr(mean(at[0], at.back())) : Expr(mean(at[0])));
        return std::vector<Expr>{g, g * (Strict(Expr(x(place.at))) - m)};
    });
    Func result("result");
    result(sums.axes()) = Tuple(sums.total(0), sums.total(1));
    return sums.schedule(context.finish(result));
}

// Coordinates of term i: what is summed up follows from i, the rest from the result's.
std::vector<Expr> reduced_place(const Reduce& op, const TensorType& map,
                                const std::vector<Expr>& at, const Expr& i) {
    const std::vector<int64_t> extents = memory_extents(map);  // C, W, H
    std::vector<Expr> place;
    Expr rest = i;
    for (size_t k = 0; k < extents.size(); k++) {
        const auto axis = static_cast<int64_t>(k == 0 ? 0 : extents.size() - k);
        const bool is_summed =
            op.axes.empty() ? k > 0 || !op.keep_channels : std::ranges::count(op.axes, axis) > 0;
        place.push_back(is_summed ? rest % to_int(extents[k]) : at[k]);
        if (is_summed) rest = rest / to_int(extents[k]);
    }
    place.push_back(at.back());
    return place;
}

Func build_reduce(KernelContext& context, const Reduce& op, const Tiling& tiling) {
    const Func x = context.operand(0);
    const TensorType& map = summed_map(context.group());
    SampleSums sums(context.group(), tiling, [&](const std::vector<Expr>& at, const Expr& i) {
        return std::vector<Expr>{x(reduced_place(op, map, at, i))};
    });
    const Strict total(sums.total(0));
    Func result("result");
    result(sums.axes()) =
        op.mean ? Expr(total / Strict(static_cast<float>(op.terms(map)))) : Expr(total);
    return sums.schedule(context.finish(result));
}

}  // namespace

bool GpuSampleSums::applies(const Group& group, const Isa&) const {
    if (group.anchor < 0 || !has_shape_of_anchor(group, /*batched=*/true)) return false;
    return anchor_as<Reduce>(group) != nullptr || anchor_as<PartialMoments>(group) != nullptr ||
           anchor_as<PartialDots>(group) != nullptr;
}

TilingSpace GpuSampleSums::space(const Group& group, const Isa&) const {
    const std::vector<int> channels =
        channels_of(group) == 1 ? std::vector{1} : std::vector{8, 16, 32};
    return {{"channels", channels}, {"chains", {1, 2, 4, 8, 16, 32, 64, 128}, 0, -1, true}};
}

std::string GpuSampleSums::clash(const Group&, const Tiling& tiling, const Isa& isa) const {
    const int threads = tiling.at("channels") * tiling.at("chains");
    if (threads <= isa.block_threads) return "";
    return fmt::format("a block of {} threads, but it may have {}", threads, isa.block_threads);
}

std::vector<Tiling> GpuSampleSums::tilings(const Group& group, const Isa& isa) const {
    const int chains = default_chains(group), first = default_channels(group);
    std::vector<Tiling> tilings = {{{{"channels", first}, {"chains", chains}}}};
    const TilingSpace fields = space(group, isa);
    for (int channels : fields[0].values) {
        const Tiling tiling{{{"channels", channels}, {"chains", chains}}};
        if (channels < first) tilings.push_back(tiling);
    }
    return tilings;
}

double GpuSampleSums::cost(const Group& group, const Tiling&, const Isa&, const Machine&) const {
    return device_seconds(1, traffic_bytes(group));
}

std::vector<Func> GpuSampleSums::build(KernelContext& context, const Tiling& tiling) const {
    const Group& group = context.group();
    if (const auto* reduce = anchor_as<Reduce>(group))
        return {build_reduce(context, *reduce, tiling)};
    const bool is_moments = anchor_as<PartialMoments>(group) != nullptr;
    return {is_moments ? build_moments(context, tiling) : build_dots(context, tiling)};
}

}  // namespace emulsion
