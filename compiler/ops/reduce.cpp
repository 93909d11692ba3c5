// Sums and means over samples, positions and channels.
#include "compiler/ops/reduce.h"

#include <fmt/format.h>

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

std::vector<TensorType> Reduce::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    const TensorType& x = inputs[0];
    expect_f32(x, "input");
    if (keep_samples && !x.batched) {
        fail("attribute", fmt::format("keep_samples is true, but the input {} has no samples", to_string(x)),
             "leave keep_samples out");
    }
    if (keep_channels && x.shape.empty()) {
        fail("attribute", fmt::format("keep_channels is true, but the input {} has no channels", to_string(x)),
             "leave keep_channels out");
    }
    TensorType type;
    type.batched = keep_samples;
    if (!keep_channels) return {type};
    if (x.batched && !x.factors.empty() && !keep_samples) expect_same_order(x.factors, "input", {}, "result");
    type.shape = {x.shape[0]};
    if (x.batched && keep_samples) type.factors = x.factors;
    return {type};
}

int64_t Reduce::terms(const TensorType& input) const {
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
        op->per_sample = x.batched && !keep_samples;
    }
    return {context.add("dx", op, {context.gradients[0]})};
}

// Lowering

namespace {

// One axis of the input in memory.
struct Axis {
    Expr extent;
    bool keep = false;
    Expr at;  // coordinate in the stage being built
};

// Order of summation: positions first (width before height), then samples, channels last.
std::vector<size_t> order_of_sums(size_t count) {
    std::vector<size_t> order;
    for (size_t i = 1; i < count; i++) order.push_back(i);
    if (count > 0) order.push_back(0);
    return order;
}

std::vector<Axis> axes_of(const TensorType& type, const Expr& samples, bool keep_samples, bool keep_channels) {
    std::vector<Axis> axes;
    for (int64_t extent : memory_extents(type)) axes.push_back({static_cast<int>(extent), false, {}});
    if (!axes.empty()) axes.front().keep = keep_channels;
    if (!type.batched && axes.size() > 1) axes.back().keep = keep_channels;  // blocks of the first axis
    if (type.batched) axes.push_back({samples, keep_samples, {}});
    return axes;
}

std::vector<Expr> kept_coordinates(const std::vector<Axis>& axes) {
    std::vector<Expr> at;
    for (const Axis& axis : axes) {
        if (axis.at.defined()) at.push_back(axis.at);
    }
    return at;
}

// Coordinates of the sums that belong to position `at` of the result, never beyond the input's channels.
std::vector<Expr> read_position(const TensorType& from, const TensorType& to, const std::vector<Expr>& at) {
    if (to.batched || to.shape.empty()) return at;
    if (from.batched) return {Halide::min(at[0], static_cast<int>(to.shape[0] - 1))};
    if (from.shape.size() == 1) return at;
    const int lanes = static_cast<int>(kBlock);
    return {at[0] % lanes, at[0] / lanes};
}

}  // namespace

std::vector<Func> Reduce::lower(const LowerContext& context, const std::vector<Func>& inputs) const {
    const TensorType& from = context.inputs[0];
    const TensorType& to = context.outputs[0];
    std::vector<Axis> axes = axes_of(from, context.samples, keep_samples, keep_channels);
    for (size_t i = 0; i < axes.size(); i++) axes[i].at = Var(fmt::format("a{}", i));
    Func sums = inputs[0];
    for (size_t i : order_of_sums(axes.size())) {
        if (axes[i].keep) continue;
        RDom r(0, axes[i].extent, fmt::format("{}__r{}", context.name, i));
        axes[i].at = r.x;
        const std::vector<Expr> read = kept_coordinates(axes);
        axes[i].at = Expr();
        const std::vector<Expr> at = kept_coordinates(axes);
        std::vector<Var> vars;
        for (const Expr& e : at) vars.emplace_back(e.as<Halide::Internal::Variable>()->name);
        Func stage(fmt::format("{}__sum{}", context.name, i));
        stage(vars) = 0.0F;
        stage(vars) = Strict(Expr(stage(vars))) + Strict(Expr(sums(read)));
        sums = stage;
    }
    const std::vector<Var> vars = coordinates(to);
    const std::vector<Expr> at = as_exprs(vars);
    Strict value(Expr(sums(read_position(from, to, at))));
    if (mean) {
        Expr count = static_cast<float>(terms(from));
        if (from.batched && !keep_samples) count = Strict(count) * Strict(samples_f32(context));
        value = value / Strict(count);
    }
    Func out(context.name);
    out(vars) = value_or_zero(is_value(to, at), value);
    return {out};
}

}  // namespace emulsion
