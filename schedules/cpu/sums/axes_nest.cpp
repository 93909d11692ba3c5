// The loops of the op reduce_axes.
#include "schedules/cpu/sums/axes_nest.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/graph/limits.h"
#include "compiler/ops/strict.h"
#include "schedules/cpu/maps/map.h"
#include "schedules/cpu/sums/sample_sum.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::LoopLevel;
using Halide::TailStrategy;
using Halide::Var;

namespace {

constexpr int64_t kTaskElements = 16384;  // that a task reads

}  // namespace

AxesNest::AxesNest(const KernelContext& context, const ReduceAxes& op)
    : context_(context),
      op_(op),
      type_(context.group().anchor_input(0)),
      extents_(memory_extents(type_)),
      map_(map_of_row()),
      shape_(map_),
      channel_("channel") {
    const Func input = context.operand(0);
    const Var c("c"), row("row");
    if (map_.positions() == 1) {
        channel_(c, row) = input(position(c, 0, 0, row));
        return;
    }
    positions_.emplace(
        "position", map_, shape_,
        [&](const Expr& k, const Expr& x, const Expr& y, const Expr&, const Expr& r) {
            return std::vector<Expr>{input(position(k, x, y, r))};
        });
    sum_ = sum_blocks("map", *positions_, 1, shape_);
    channel_(c, row) = sum_(c, row);
}

bool AxesNest::sums(size_t i) const {
    size_t axis = i == 0 ? 0 : extents_.size() - i;
    // The first axis of a plain tensor is lanes, innermost, and blocks, outermost; the second one
    // is beside the lanes.
    if (!type_.batched && i > 0) axis = i == 1 ? 1 : i + 1 == extents_.size() ? 0 : axis;
    return std::ranges::find(op_.axes, static_cast<int64_t>(axis)) != op_.axes.end();
}

// The innermost axis that is summed is the width, all others are the height.
MapShape AxesNest::map_of_row() const {
    MapShape map(batched_type({extents_[0]}));
    bool is_first = true;
    for (size_t i = 1; i < extents_.size(); i++) {
        if (!sums(i)) continue;
        (is_first ? map.width : map.height) *= to_int(extents_[i]);
        is_first = false;
    }
    return map;
}

Expr AxesNest::row_at(const std::vector<Var>& vars) const {
    Expr row = type_.batched ? Expr(vars.back()) : Expr(0);
    for (size_t i = extents_.size(); i-- > 1;) {
        if (!sums(i)) row = row * to_int(extents_[i]) + vars[i];
    }
    return row;
}

std::vector<Expr> AxesNest::position(const Expr& c, const Expr& x, const Expr& y,
                                     const Expr& row) const {
    std::vector<Expr> result = {c};
    Expr height = y, sample = row;
    bool is_first = true;
    for (size_t i = 1; i < extents_.size(); i++) {
        const int extent = to_int(extents_[i]);
        if (sums(i) && is_first) {
            result.push_back(x);
            is_first = false;
            continue;
        }
        Expr& rest = sums(i) ? height : sample;
        result.push_back(rest % extent);
        rest = rest / extent;
    }
    if (type_.batched) result.push_back(sample);
    return result;
}

Expr AxesNest::over_channels(const Expr& row) {
    if (map_.channels == 1) return channel_(0, row);
    const Var r("r");
    channels_.emplace(
        "channels", map_.channels, map_.channels, std::vector<Var>{r}, 0.0F,
        [&](const Expr& old, const Expr& i) { return strict_sum(old, channel_(i, r)); });
    return channels_->join({row}, strict_sum);
}

Func AxesNest::build() {
    const std::vector<Var> vars = coordinates(context_.group().anchor_output());
    const Expr row = row_at(vars);
    Strict sum(sums(0) ? over_channels(row) : Expr(channel_(vars[0], row)));
    if (op_.mean) sum = sum / Strict(static_cast<float>(op_.terms(type_)));
    Func value("value");
    // Of a plain tensor whose first axis is summed, one lane of 16 holds a value.
    value(vars) = is_padded() ? Halide::select(vars[0] < 1, sum, 0.0F) : Expr(sum);
    Func out = context_.finish(value);
    compute_at(schedule(out));
    return out;
}

LoopLevel AxesNest::schedule(Func out) const {
    const std::vector<Var> vars = out.args();
    Var walked = vars[0];
    int64_t elements = map_.positions();  // that a step of the walk reads
    const Var outer("co"), inner("ci");
    if (is_padded()) {
        out.split(walked, outer, inner, kLanes, TailStrategy::RoundUp).vectorize(inner);
        walked = outer;
        elements *= map_.channels;
    } else if (sums(0)) {
        elements *= map_.channels;
    } else {
        out.split(walked, outer, inner, shape_.chunk,
                  shape_.even ? TailStrategy::RoundUp : TailStrategy::GuardWithIf);
        vectorize_chunk(out, inner, shape_);
        walked = outer;
        elements *= shape_.chunk;
    }
    for (size_t i = 1; i < vars.size(); i++) {
        const Var fused(fmt::format("walk{}", i));
        out.fuse(walked, vars[i], fused);
        walked = fused;
    }
    if (element_count(type_) * context_.group().batch < kSerialElements) return {out, walked};
    const Var task("task"), step("step");
    const int64_t steps = std::max<int64_t>(1, kTaskElements / elements);
    out.split(walked, task, step, to_int(steps), TailStrategy::GuardWithIf).parallel(task);
    return {out, step};
}

void AxesNest::compute_at(const LoopLevel& level) {
    if (!sums(0)) {
        if (positions_) compute_positions(sum_, *positions_, level, shape_);
        return;
    }
    if (channels_) channels_->compute_at(level);
    if (positions_) compute_channels(channel_, sum_, *positions_, level, shape_, map_.channels);
}

}  // namespace emulsion
