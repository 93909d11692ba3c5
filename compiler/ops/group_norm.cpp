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
    if (inputs.size() == 1) {
        expect_features(inputs[0], "input");
    } else {
        MergeMoments merge;  // whose operands are the same
        merge.width = width;
        merge.height = height;
        merge.infer(inputs);
    }
    expect_epsilon(epsilon);
    check_groups(groups, inputs[0].shape[0]);
    return {numbers_of(inputs[0]), numbers_of(inputs[0])};
}

std::vector<TensorType> GroupCoefficients::infer(std::span<const TensorType> inputs) const {
    const bool is_plain = inputs.size() > 2 && inputs[2].shape.size() == 1;
    expect_operands(inputs, is_plain ? 5 : 4);
    if (is_plain) {
        expect_features(inputs[2], "gradient");
        expect_gradient_of(inputs[4], inputs[2]);
    } else {
        expect_map(inputs[2], "sum");
    }
    expect_gradient_of(inputs[3], inputs[2]);
    const TensorType numbers = numbers_of(inputs[2]);
    expect_channels(inputs[0], inputs[2]);
    expect_gradient_of(inputs[1], numbers);
    check_groups(groups, inputs[2].shape[0]);
    if (count < 1 || (is_plain && count != 1)) {
        fail("attribute", fmt::format("the count is {}", count),
             "give the positions of the map, 1 or more; those of features are 1");
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
    std::vector<Value> operands = {gamma, inverse, dy, x, mean};
    if (context.type(x).shape.size() > 1) {
        const Value dots = context.add("dots", std::make_shared<PartialDots>(), {dy, x, mean});
        operands = {gamma, inverse, dots, {dots.node, 1}};
    }
    auto coefficients = std::make_shared<GroupCoefficients>();
    coefficients->groups = groups;
    coefficients->count = positions_of(context.type(x));
    const Value a = context.add("coefficients", coefficients, std::move(operands));
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
    Expr channel(const Expr& index, const Expr& group) const {
        return each == 1 ? group : group * each + index;
    }
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

// One value after another.
Func sum_in_order(const std::string& name, int channels, int strips, const GroupValue& value) {
    const Var g("g"), n("n");
    const RDom r(0, channels, 0, strips, "r");
    Func sum(name);
    sum(g, n) = 0.0F;
    sum(g, n) = Strict(Expr(sum(g, n))) + Strict(value(r.x, r.y, g, n));
    return sum;
}

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
    std::vector<Expr> at = {all.channel(r[0], all.g)};
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

std::vector<Func> GroupStatistics::lower(const LowerContext& context,
                                         const std::vector<Func>& inputs) const {
    return lower_with(context, inputs, sum_in_order);
}

// Means and squared deviations of strips join as in merge_moments, around the first pivot of the
// group. Features are strips of one value, which does not deviate from itself.
std::vector<Func> GroupStatistics::lower_with(const LowerContext& context,
                                              const std::vector<Func>& inputs,
                                              const GroupSum& sum) const {
    const Groups all(context.inputs[0].shape[0], groups);
    const bool is_plain = inputs.size() == 1;
    const int strips = is_plain ? 1 : to_int(context.inputs[0].shape[1]);
    const auto read = [&](size_t k, const Expr& c, const Expr& s, const Expr& n) {
        if (is_plain) return Strict(Expr(inputs[0](c, n)));
        return Strict(Expr(inputs[k](c, 0, s, n)));
    };
    const auto size = [&](const Expr& s) {
        return Strict(strip_count(s, to_int(width), to_int(height)));
    };
    const Strict total(static_cast<float>(all.each * width * height));
    const auto first = [&](const Expr& g, const Expr& n) { return read(0, g * all.each, 0, n); };
    const Func drift = sum(context.name + "__drift", all.each, strips,
                           [&](const Expr& i, const Expr& s, const Expr& g, const Expr& n) -> Expr {
                               const Expr c = all.channel(i, g);
                               const Strict apart = read(0, c, s, n) - first(g, n);
                               if (is_plain) return apart;
                               return apart * size(s) + read(1, c, s, n);
                           });
    const auto mean_of = [&](const Expr& g, const Expr& n) {
        return first(g, n) + Strict(Expr(drift(g, n))) / total;
    };
    const Func squares =
        sum(context.name + "__squares", all.each, strips,
            [&](const Expr& i, const Expr& s, const Expr& g, const Expr& n) -> Expr {
                const Expr c = all.channel(i, g);
                if (is_plain) {
                    const Strict apart = read(0, c, s, n) - mean_of(g, n);
                    return apart * apart;
                }
                const Strict average = read(1, c, s, n) / size(s);
                const Strict apart = (read(0, c, s, n) - mean_of(g, n)) + average;
                return (read(2, c, s, n) - average * read(1, c, s, n)) + size(s) * (apart * apart);
            });
    const std::vector<Var> vars = coordinates(context.outputs[0]);
    const Var c = vars[0], n = vars[1];
    Func mean(context.name + "__0"), inverse(context.name + "__1");
    mean(c, n) = mean_of(all.of(c), n);
    inverse(c, n) = inverse_of(Strict(Expr(squares(all.of(c), n))), total, epsilon);
    return {mean, inverse};
}

std::vector<Func> GroupCoefficients::lower(const LowerContext& context,
                                           const std::vector<Func>& inputs) const {
    return lower_with(context, inputs, sum_in_order);
}

// With sums over the group, m values: a = gamma inverse, b = -inverse^3 / m sum(gamma dot), c =
// -inverse / m sum(gamma sum).
std::vector<Func> GroupCoefficients::lower_with(const LowerContext& context,
                                                const std::vector<Func>& inputs,
                                                const GroupSum& sum_of) const {
    const TensorType& type = context.inputs[2];
    const Groups all(type.shape[0], groups);
    const bool is_plain = inputs.size() == 5;
    const int strips = is_plain ? 1 : to_int(type.shape[1]);
    const std::vector<Var> vars = coordinates(context.outputs[0]);
    const Var c = vars[0], n = vars[1];
    enum Part { kSum, kDot };
    const auto read = [&](Part part, const Expr& k, const Expr& s, const Expr& sample) {
        if (!is_plain) return Strict(Expr(inputs[part == kSum ? 2 : 3](k, 0, s, sample)));
        const Strict dy(Expr(inputs[2](k, sample)));
        if (part == kSum) return dy;
        return dy * (Strict(Expr(inputs[3](k, sample))) - Strict(Expr(inputs[4](k, sample))));
    };
    const auto of_channel = [&](const char* name, Part part) {
        Func f(context.name + name);
        if (is_plain) {
            f(c, n) = read(part, c, 0, n);
            return f;
        }
        const RDom s(0, strips, "s");
        f(c, n) = 0.0F;
        f(c, n) = Strict(Expr(f(c, n))) + read(part, c, s, n);
        return f;
    };
    const Func sums = of_channel("__sums", kSum), dots = of_channel("__dots", kDot);
    const auto weighted = [&](const char* name, Part part) {
        return sum_of(
            context.name + name, all.each, strips,
            [&, part](const Expr& i, const Expr& s, const Expr& g, const Expr& k) -> Expr {
                const Expr channel = all.channel(i, g);
                return Strict(Expr(inputs[0](channel))) * read(part, channel, s, k);
            });
    };
    const Func sum = weighted("__sum", kSum), dot = weighted("__dot", kDot);
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
