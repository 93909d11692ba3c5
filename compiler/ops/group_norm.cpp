// Group normalisation as one node, and the sums over groups that it is made of.
#include "compiler/ops/group_norm.h"

#include <fmt/format.h>

#include "compiler/graph/limits.h"
#include "compiler/ops/batch_norm.h"
#include "compiler/ops/batch_norm_parts.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/moments.h"
#include "compiler/ops/strict.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

// Shape

namespace {

void check_groups(int64_t groups, int64_t channels) {
    if (groups >= 1 && channels % groups == 0) return;
    fail("groups", fmt::format("{} channels cannot be cut into {} equal groups", channels, groups),
         "choose a number of groups that divides the channels");
}

// The type of one number for each channel of each sample.
TensorType numbers_of(const TensorType& strips) { return batched_type({strips.shape[0]}); }

}  // namespace

std::vector<TensorType> GroupNorm::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 3);
    expect_epsilon(epsilon);
    expect_normalizable(inputs[0]);
    for (const TensorType& type : inputs.subspan(1)) expect_channels(type, inputs[0]);
    check_groups(groups, inputs[0].shape[0]);
    const TensorType numbers = numbers_of(inputs[0]);
    return {inputs[0], numbers, numbers};
}

std::vector<TensorType> GroupStatistics::infer(std::span<const TensorType> inputs) const {
    MergeMoments merge;  // whose operands are the same
    merge.width = width;
    merge.height = height;
    merge.infer(inputs);
    expect_epsilon(epsilon);
    check_groups(groups, inputs[0].shape[0]);
    return {numbers_of(inputs[0]), numbers_of(inputs[0])};
}

std::vector<TensorType> GroupCoefficients::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 4);
    expect_map(inputs[2], "sum");
    expect_gradient_of(inputs[3], inputs[2]);
    const TensorType numbers = numbers_of(inputs[2]);
    expect_channels(inputs[0], inputs[2]);
    expect_gradient_of(inputs[1], numbers);
    check_groups(groups, inputs[2].shape[0]);
    if (count < 1) {
        fail("attribute", fmt::format("the count is {}", count),
             "give the positions of the map, 1 or more");
    }
    return std::vector<TensorType>(5, numbers);
}

// Gradient

std::vector<Value> GroupNorm::gradient(GradientContext& context) const {
    if (context.gradients[1].defined() || context.gradients[2].defined()) {
        fail("no_gradient",
             fmt::format("'{}': the statistics of group_norm have no gradient", context.name),
             "let the loss depend on the normalised values alone");
    }
    std::vector<Value> result(3);
    const Value dy = context.gradients[0], x = context.inputs[0], gamma = context.inputs[1];
    const Value mean = context.outputs[1], inverse = context.outputs[2];
    const Value dots = context.add("dots", std::make_shared<PartialDots>(), {dy, x, mean});
    auto coefficients = std::make_shared<GroupCoefficients>();
    coefficients->groups = groups;
    coefficients->count = positions_of(context.type(x));
    const Value a =
        context.add("coefficients", coefficients, {gamma, inverse, dots, {dots.node, 1}});
    if (context.needed[0]) {
        result[0] = context.add("dx", std::make_shared<BatchNormBackward>(),
                                {dy, x, mean, a, {a.node, 1}, {a.node, 2}});
    }
    for (int i = 1; i < 3; i++) {
        if (!context.needed[static_cast<size_t>(i)]) continue;
        result[static_cast<size_t>(i)] = context.reduce_to(
            {a.node, i + 2}, context.type(context.inputs[static_cast<size_t>(i)]));
    }
    return result;
}

// Lowering

namespace {

// The channels of group g one after another: g * each + r.x; r.y and more are for the caller.
struct Groups {
    Groups(int64_t channels, int64_t groups) : each(to_int(channels / groups)) {}
    Expr of(const Expr& c) const { return each == 1 ? c : c / each; }
    Expr channel(const Expr& index) const { return each == 1 ? Expr(g) : g * each + index; }
    // The sum over `r` of `value`, an expression of g, n and r, as a Func over (g, n).
    Func sum(const std::string& name, const Strict& value) const {
        Func f(name);
        f(g, n) = 0.0F;
        f(g, n) = Strict(Expr(f(g, n))) + value;
        return f;
    }
    int each;
    Var g{"g"}, n{"n"};
};

Strict inverse_of(const Strict& squares, const Strict& total, double epsilon) {
    return Strict(1.0F) / square_root(squares / total + Strict(epsilon));
}

}  // namespace

std::vector<Func> GroupNorm::lower(const LowerContext& context,
                                   const std::vector<Func>& inputs) const {
    const TensorType& type = context.inputs[0];
    const Groups all(type.shape[0], groups);
    const std::vector<int64_t> extents = memory_extents(type);
    Halide::Region ranges;
    ranges.emplace_back(0, all.each);
    for (size_t i = 1; i < extents.size(); i++) ranges.emplace_back(0, to_int(extents[i]));
    const RDom r(ranges, "r");
    std::vector<Expr> at = {all.channel(r[0])};
    for (int i = 1; i < r.dimensions(); i++) at.emplace_back(r[i]);
    at.emplace_back(all.n);
    const Strict total(static_cast<float>(all.each * positions_of(type)));
    const Strict x(Expr(inputs[0](at)));
    const Func sum = all.sum(context.name + "__sum", x);
    const Strict apart = x - Strict(Expr(sum(all.g, all.n))) / total;
    const Func squares = all.sum(context.name + "__squares", apart * apart);

    const std::vector<Var> vars = coordinates(type);  // c, x, y, n
    const Var c("c"), n("n");
    const auto mean_of = [&](const Expr& k, const Expr& s) {
        return Strict(Expr(sum(all.of(k), s))) / total;
    };
    const auto inverse = [&](const Expr& k, const Expr& s) {
        return inverse_of(Strict(Expr(squares(all.of(k), s))), total, epsilon);
    };
    Func y(context.name), mean_out(context.name + "__1"), inverse_out(context.name + "__2");
    const Expr k = vars.front(), s = vars.back();
    const Strict centered = Strict(Expr(inputs[0](as_exprs(vars)))) - mean_of(k, s);
    y(vars) = centered * (inverse(k, s) * Strict(Expr(inputs[1](k)))) + Strict(Expr(inputs[2](k)));
    mean_out(c, n) = mean_of(c, n);
    inverse_out(c, n) = inverse(c, n);
    return {y, mean_out, inverse_out};
}

// Means and squared deviations of strips join as in merge_moments, around the first pivot of the
// group.
std::vector<Func> GroupStatistics::lower(const LowerContext& context,
                                         const std::vector<Func>& inputs) const {
    const TensorType& strips = context.inputs[0];
    const Groups all(strips.shape[0], groups);
    const RDom r(0, all.each, 0, to_int(strips.shape[1]), "r");
    const Expr k = all.channel(r.x);
    const auto read = [&](size_t i) { return Strict(Expr(inputs[i](k, 0, r.y, all.n))); };
    const Strict count(strip_count(r.y, to_int(width), to_int(height)));
    const Strict total(static_cast<float>(all.each * width * height));
    const auto first = [&](const Expr& g, const Expr& s) {
        return Strict(Expr(inputs[0](g * all.each, 0, 0, s)));
    };
    const Func drift =
        all.sum(context.name + "__drift", (read(0) - first(all.g, all.n)) * count + read(1));
    const auto mean_of = [&](const Expr& g, const Expr& s) {
        return first(g, s) + Strict(Expr(drift(g, s))) / total;
    };
    const Strict average = read(1) / count;
    const Strict apart = (read(0) - mean_of(all.g, all.n)) + average;
    const Func squares = all.sum(context.name + "__squares",
                                 (read(2) - average * read(1)) + count * (apart * apart));
    const std::vector<Var> vars = coordinates(context.outputs[0]);
    const Var c = vars[0], n = vars[1];
    Func mean(context.name + "__0"), inverse(context.name + "__1");
    mean(c, n) = mean_of(all.of(c), n);
    inverse(c, n) = inverse_of(Strict(Expr(squares(all.of(c), n))), total, epsilon);
    return {mean, inverse};
}

// With sums over the group, m values: a = gamma inverse, b = -inverse^3 / m sum(gamma dot), c =
// -inverse / m sum(gamma sum).
std::vector<Func> GroupCoefficients::lower(const LowerContext& context,
                                           const std::vector<Func>& inputs) const {
    const TensorType& strips = context.inputs[2];
    const Groups all(strips.shape[0], groups);
    const std::vector<Var> vars = coordinates(context.outputs[0]);
    const Var c = vars[0], n = vars[1];
    const RDom over_strips(0, to_int(strips.shape[1]), "s");
    const auto of_channel = [&](const char* part, size_t i) {
        Func f(context.name + part);
        f(c, n) = 0.0F;
        f(c, n) = Strict(Expr(f(c, n))) + Strict(Expr(inputs[i](c, 0, over_strips, n)));
        return f;
    };
    const Func sums = of_channel("__sums", 2), dots = of_channel("__dots", 3);
    const RDom r(0, all.each, 0, to_int(strips.shape[1]), "r");
    const Expr k = all.channel(r.x);
    const auto weighted = [&](const char* part, size_t i) {
        const Strict gamma(Expr(inputs[0](k)));
        return all.sum(context.name + part, gamma * Strict(Expr(inputs[i](k, 0, r.y, all.n))));
    };
    const Func sum = weighted("__sum", 2), dot = weighted("__dot", 3);
    const Strict total(static_cast<float>(all.each * count));
    const Strict inverse(Expr(inputs[1](c, n)));
    const Strict share_of_dot = Strict(Expr(dot(all.of(c), n))) / total;
    const Strict share_of_sum = Strict(Expr(sum(all.of(c), n))) / total;
    const std::vector<Expr> values = {inverse * Strict(Expr(inputs[0](c))),
                                      Strict(0.0F) - ((inverse * inverse) * inverse) * share_of_dot,
                                      Strict(0.0F) - inverse * share_of_sum,
                                      Strict(Expr(dots(c, n))) * inverse, Expr(sums(c, n))};
    std::vector<Func> results;
    for (size_t i = 0; i < values.size(); i++) {
        Func result(fmt::format("{}__{}", context.name, i));
        result(c, n) = values[i];
        results.push_back(result);
    }
    return results;
}

}  // namespace emulsion
