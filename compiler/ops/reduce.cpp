// Sums and means over samples, positions and channels, or over some axes of a sample.
#include "compiler/ops/reduce.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <functional>

#include "compiler/ops/expand.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/strict.h"
#include "compiler/ops/window_lowering.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

// Shape

namespace {

bool is_summed(const Reduce& op, size_t axis) {
    return std::find(op.axes.begin(), op.axes.end(), static_cast<int64_t>(axis)) != op.axes.end();
}

// The input with extent 1 on the axes that are summed.
TensorType without_axes(const Reduce& op, const TensorType& x) {
    const auto rank = static_cast<int64_t>(x.shape.size());
    if (rank == 0) {
        fail("attribute", fmt::format("the input {} has no axes beside its samples", to_string(x)),
             "give it a map or features");
    }
    if (op.axes.empty() || !std::ranges::is_sorted(op.axes, std::less_equal<>()) ||
        op.axes.front() < 0 || op.axes.back() >= rank) {
        fail("attribute",
             fmt::format("the axes are [{}], but the input {} has axes 0 to {} beside its samples",
                         fmt::join(op.axes, ","), to_string(x), rank - 1),
             "give each axis once, in ascending order; 0 is the channels");
    }
    TensorType type = x;
    for (int64_t axis : op.axes) type.shape[static_cast<size_t>(axis)] = 1;
    if (is_summed(op, x.batched ? 0 : 1)) type.factors.clear();
    return type;
}

}  // namespace

std::vector<TensorType> Reduce::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    const TensorType& x = inputs[0];
    expect_f32(x, "input");
    if (keep_samples && !x.batched) {
        fail("attribute",
             fmt::format("keep_samples is true, but the input {} has no samples", to_string(x)),
             "leave keep_samples out");
    }
    if (keep_channels && x.shape.empty()) {
        fail("attribute",
             fmt::format("keep_channels is true, but the input {} has no channels", to_string(x)),
             "leave keep_channels out");
    }
    TensorType type;
    type.batched = keep_samples;
    if (!keep_channels) return {type};
    if (x.batched && !x.factors.empty() && !keep_samples)
        expect_same_order(x.factors, "input", {}, "result");
    type.shape = {x.shape[0]};
    if (x.batched && keep_samples) type.factors = x.factors;
    return {type};
}

std::vector<TensorType> ReduceAxes::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_f32(inputs[0], "input");
    return {without_axes(*this, inputs[0])};
}

int64_t Reduce::terms(const TensorType& input) const {
    if (!axes.empty()) return element_count(input) / element_count(without_axes(*this, input));
    return keep_channels ? element_count(input) / input.shape[0] : element_count(input);
}

// Gradient

std::vector<Value> Reduce::gradient(GradientContext& context) const {
    const TensorType& x = context.type(context.inputs[0]);
    auto op = std::make_shared<Expand>();
    op->shape = x.shape;
    op->factors = x.factors;
    op->batched = x.batched;
    if (mean) {
        op->scale = 1.0 / static_cast<double>(terms(x));
        op->per_sample = sums_samples(x);
    }
    return {context.add("dx", op, {context.gradients[0]})};
}

// Lowering

namespace {

// One axis of the input in memory.
struct Axis {
    Expr extent;
    bool keep = false;
    Var at;
    bool summed = false;
};

// The axis of the logical shape that memory axis `index` of `count` belongs to: channels are
// innermost; the first axis of a filter is split into lanes, innermost, and blocks, outermost.
size_t logical_axis(const TensorType& type, size_t index, size_t count) {
    if (index == 0) return 0;
    if (type.batched) return count - index;
    if (index == 1) return 1;
    return index + 1 == count ? 0 : count - index;
}

std::vector<Axis> axes_of(const TensorType& type, const Expr& samples, const Reduce& op) {
    std::vector<Axis> axes;
    for (int64_t extent : memory_extents(type)) {
        axes.push_back({static_cast<int>(extent), false, Var(fmt::format("a{}", axes.size()))});
    }
    const size_t count = axes.size();
    for (size_t i = 0; i < count; i++) {
        const size_t axis = logical_axis(type, i, count);
        axes[i].keep = op.axes.empty() ? axis == 0 && op.keep_channels : !is_summed(op, axis);
    }
    if (type.batched) axes.push_back({samples, !op.sums_samples(type), Var("n")});
    return axes;
}

// Sums over axis `which`, beside those that are summed already.
Func sum_over(const Func& values, std::vector<Axis>& axes, size_t which, const std::string& name) {
    RDom r(0, axes[which].extent, fmt::format("{}__r{}", name, which));
    std::vector<Expr> read;
    std::vector<Var> vars;
    for (size_t i = 0; i < axes.size(); i++) {
        if (axes[i].summed) continue;
        read.push_back(i == which ? Expr(r.x) : Expr(axes[i].at));
        if (i != which) vars.push_back(axes[i].at);
    }
    axes[which].summed = true;
    Func sum(fmt::format("{}__sum{}", name, which));
    sum(vars) = 0.0F;
    sum(vars) = Strict(Expr(sum(vars))) + Strict(Expr(values(read)));
    return sum;
}

// Coordinates of the sums that belong to position `at` of the result, never beyond the input's
// channels.
std::vector<Expr> read_position(const Reduce& op, const std::vector<Axis>& axes,
                                const TensorType& from, const TensorType& to,
                                const std::vector<Expr>& at) {
    if (!op.axes.empty()) {  // the axes of the result are those of the input
        std::vector<Expr> position;
        for (size_t i = 0; i < axes.size(); i++) {
            if (axes[i].keep) position.push_back(at[i]);
        }
        return position;
    }
    if (to.batched || to.shape.empty()) return at;
    if (from.batched) return {Halide::min(at[0], to_int(to.shape[0] - 1))};
    if (from.shape.size() == 1) return at;
    const int lanes = static_cast<int>(kBlock);
    return {at[0] % lanes, at[0] / lanes};
}

}  // namespace

Expr Reduce::term(const Expr& value) const { return value; }

std::vector<Func> Reduce::lower(const LowerContext& context,
                                const std::vector<Func>& inputs) const {
    const TensorType& from = context.inputs[0];
    const TensorType& to = context.outputs[0];
    std::vector<Axis> memory = axes_of(from, context.samples, *this);
    Func sums = inputs[0];
    // Positions first, width before height, then samples; channels, the innermost axis, last.
    for (size_t k = 0; k < memory.size(); k++) {
        const size_t i = (k + 1) % memory.size();
        if (!memory[i].keep) sums = sum_over(sums, memory, i, context.name);
    }
    const std::vector<Var> vars = coordinates(to);
    const std::vector<Expr> at = as_exprs(vars);
    Strict value(Expr(sums(read_position(*this, memory, from, to, at))));
    if (mean) {
        Expr count = static_cast<float>(terms(from));
        if (sums_samples(from)) count = Strict(count) * Strict(samples_f32(context));
        value = value / Strict(count);
    }
    Func out(context.name);
    out(vars) = value_or_zero(is_value(to, at), value);
    return {out};
}

}  // namespace emulsion
