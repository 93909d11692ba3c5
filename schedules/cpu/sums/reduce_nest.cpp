// The loops of the op reduce.
#include "schedules/cpu/sums/reduce_nest.h"

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

// Whether each term of the sum is computed from values at its own position.
bool has_own_terms(const Group& group) {
    const TensorType& summed = group.anchor_input(0);
    for (int i = 0; i < group.anchor; i++) {
        const Node& node = group.body.node(i);
        const OpClass kind = node.op->op_class();
        if (kind != OpClass::source && kind != OpClass::pointwise) return false;
        for (const TensorType& type : node.types) {
            const bool is_number = kind == OpClass::source && type.shape.empty() && !type.batched;
            if (!is_number && (type.shape != summed.shape || type.batched != summed.batched))
                return false;
        }
    }
    return true;
}

// The summed map as it is walked: with the rows of a sample as 16 channels, where channels are no
// whole vectors and not kept.
MapShape walked_map(const Group& group, const Reduce& op) {
    const MapShape map(group.anchor_input(0));
    MapShape walked = map;
    walked.channels = kLanes;
    walked.width = map.channels * map.width / kLanes;
    const bool are_lanes = map.channels % kLanes != 0 && map.channels * map.width % kLanes == 0;
    const bool fits = map.batched && map.channels > 1 && are_lanes && walked.positions() > 1;
    return fits && !op.keep_channels && has_own_terms(group) ? walked : map;
}

}  // namespace

ReduceNest::ReduceNest(const KernelContext& context, const Reduce& op, const Tiling& tiling)
    : context_(context),
      op_(op),
      map_(walked_map(context.group(), op)),
      shape_(SumShape(map_).tiled(tiling)),
      count_(map_.batched ? context.samples() : Expr(map_.blocks)),
      batch_(map_.batched ? context.group().batch : map_.blocks),
      channel_("channel") {
    const Func input = context.operand(0);
    const Var c("c"), n("n");
    if (map_.positions() == 1) {
        channel_(c, n) = op.term(input(map_.at(c, 0, 0, n)));
        return;
    }
    const int channels = MapShape(context.group().anchor_input(0)).channels;
    positions_.emplace(
        "position", map_, shape_,
        [&](const Expr& k, const Expr& x, const Expr& y, const Expr&, const Expr& s) {
            if (channels == map_.channels)
                return std::vector<Expr>{op.term(input(map_.at(k, x, y, s)))};
            const Expr place = x * map_.channels + k;
            return std::vector<Expr>{
                op.term(input(map_.at(place % channels, place / channels, y, s)))};
        });
    sum_ = sum_blocks("sample", *positions_, 1, shape_);
    channel_(c, n) = sum_(c, n);
}

Func ReduceNest::build() {
    if (op_.keep_samples) return op_.keep_channels ? keep_both() : keep_samples();
    if (!op_.keep_channels) return keep_none();
    return map_.batched ? keep_channels() : keep_blocks();
}

bool ReduceNest::is_large() const { return is_worth_tasks(map_, batch_); }

Expr ReduceNest::result(const Expr& sum) const {
    if (!op_.mean) return sum;
    Strict count(static_cast<float>(op_.terms(context_.group().anchor_input(0))));
    if (map_.batched && !op_.keep_samples) count = count * Strict(Halide::cast<float>(count_));
    return Strict(sum) / count;
}

Func ReduceNest::keep_both() {
    const Var c("c"), n("n");
    Func value("value");
    value(c, n) = result(channel_(c, n));
    Func out = context_.finish(value);
    const LoopLevel level = schedule_samples(out, shape_, map_, batch_);
    if (positions_) compute_positions(sum_, *positions_, level, shape_);
    return out;
}

Func ReduceNest::keep_channels() {
    if (positions_) {
        const LoopLevel level = store_samples(channel_, shape_, map_, batch_);
        compute_positions(sum_, *positions_, level, shape_);
    }
    const Func total =
        sum_in_blocks("total", count_, map_.channels,
                      [&](const Expr& c, const Expr& n) { return Expr(channel_(c, n)); });
    const Var k("k");
    const Expr value =
        padded_vector(k, map_.channels, [&](const Expr& c) { return result(total(c)); });
    return finish_vector(context_, k, {value});
}

Func ReduceNest::keep_blocks() {
    const Var k("k"), block("block"), lane("lane");
    Func value("value");
    value(k) = result(channel_(k % kLanes, k / kLanes));
    Func out = context_.finish(value);
    const Var all = out.args()[0];
    out.split(all, block, lane, kLanes, TailStrategy::RoundUp).vectorize(lane);
    if (positions_) compute_positions(sum_, *positions_, LoopLevel(out, block), shape_);
    if (is_large()) out.parallel(block);
    return out;
}

Expr ReduceNest::per_sample(const Var& n) {
    if (map_.channels == 1) return channel_(0, n);
    channels_.emplace(
        "channels", map_.channels, map_.channels, std::vector<Var>{n}, 0.0F,
        [&](const Expr& old, const Expr& i) { return strict_sum(old, channel_(i, n)); });
    return channels_->join({n}, strict_sum);
}

void ReduceNest::compute_sample(const Func& consumer, const Var& n) {
    const LoopLevel level(consumer, n);
    if (channels_) channels_->compute_at(level);
    if (positions_) compute_channels(channel_, sum_, *positions_, level, shape_, map_.channels);
}

Func ReduceNest::keep_samples() {
    const Var n("n");
    Func value("value");
    value(n) = result(per_sample(n));
    Func out = context_.finish(value);
    const Var row = out.args()[0];
    compute_sample(out, row);
    if (is_large()) out.parallel(row);
    return out;
}

Func ReduceNest::keep_none() {
    const Var n("n");
    Func sample("per_sample"), value("value");
    sample(n) = per_sample(n);
    LaneFold samples("over_samples", count_, batch_, {}, 0.0F,
                     [&](const Expr& old, const Expr& i) { return strict_sum(old, sample(i)); });
    samples.compute_root();
    value() = result(samples.join({}, strict_sum));
    Func out = context_.finish(value);
    if (positions_ || channels_) {
        sample.compute_root().bound_storage(n, batch_);
        compute_sample(sample, n);
        if (is_large()) sample.parallel(n);
    }
    return out;
}

}  // namespace emulsion
