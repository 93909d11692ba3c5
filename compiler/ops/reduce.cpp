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
    Var at;
    bool summed = false;
};

std::vector<Axis> axes_of(const TensorType& type, const Expr& samples, const Reduce& op) {
    std::vector<Axis> axes;
    for (int64_t extent : memory_extents(type)) {
        axes.push_back({static_cast<int>(extent), false, Var(fmt::format("a{}", axes.size()))});
    }
    if (!axes.empty()) axes.front().keep = op.keep_channels;
    // The first axis of a filter is split into lanes, innermost, and blocks, outermost.
    if (!type.batched && axes.size() > 1) axes.back().keep = op.keep_channels;
    if (type.batched) axes.push_back({samples, op.keep_samples, Var("n")});
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
std::vector<Expr> read_position(const TensorType& from, const TensorType& to,
                                const std::vector<Expr>& at) {
    if (to.batched || to.shape.empty()) return at;
    if (from.batched) return {Halide::min(at[0], static_cast<int>(to.shape[0] - 1))};
    if (from.shape.size() == 1) return at;
    const int lanes = static_cast<int>(kBlock);
    return {at[0] % lanes, at[0] / lanes};
}

}  // namespace

std::vector<Func> Reduce::lower(const LowerContext& context,
                                const std::vector<Func>& inputs) const {
    const TensorType& from = context.inputs[0];
    const TensorType& to = context.outputs[0];
    std::vector<Axis> axes = axes_of(from, context.samples, *this);
    Func sums = inputs[0];
    // Positions first, width before height, then samples; channels, the innermost axis, last.
    for (size_t k = 0; k < axes.size(); k++) {
        const size_t i = (k + 1) % axes.size();
        if (!axes[i].keep) sums = sum_over(sums, axes, i, context.name);
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
