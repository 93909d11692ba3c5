// Moments and dots of batch normalisation in their plain form: one running sum each, in the order of memory.
#include "compiler/ops/moments.h"

#include <fmt/format.h>

#include "compiler/ops/batch_norm.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/strict.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

// Shape

void expect_normalizable(const TensorType& type) {
    expect_f32(type, "input");
    if (type.batched && !type.shape.empty() && type.factors.empty()) return;
    fail("rank", fmt::format("the input must have channels, but is {}", to_string(type)),
         "normalise a map (n, channels, height, width) or features (n, channels) in plain order");
}

void expect_channels(const TensorType& type, const TensorType& map) {
    const TensorType expected = plain_type({map.shape[0]});
    if (type == expected) return;
    fail("channels", fmt::format("{} has {} channels, but a per-channel operand is {}", to_string(map), map.shape[0],
                                 to_string(type)),
         fmt::format("give it {}", to_string(expected)));
}

std::vector<TensorType> PartialMoments::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_normalizable(inputs[0]);
    return {batched_type({inputs[0].shape[0]}), batched_type({inputs[0].shape[0]})};
}

std::vector<TensorType> MergeMoments::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 2);
    expect_features(inputs[0], "mean");
    expect_gradient_of(inputs[1], inputs[0]);
    if (count < 1) fail("attribute", fmt::format("count is {}", count), "give count=H*W, the values of a sample");
    return {plain_type(inputs[0].shape), plain_type(inputs[0].shape)};
}

std::vector<TensorType> PartialDots::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 3);
    expect_normalizable(inputs[1]);
    expect_gradient_of(inputs[0], inputs[1]);
    expect_channels(inputs[2], inputs[1]);
    return {batched_type({inputs[1].shape[0]}), batched_type({inputs[1].shape[0]})};
}

// Lowering

namespace {

// All positions of sample n, channel c: (c, r.x, r.y, n).
struct SampleDomain {
    explicit SampleDomain(const TensorType& type) {
        const std::vector<int64_t> extents = memory_extents(type);
        Halide::Region ranges;
        for (size_t i = 1; i < extents.size(); i++) ranges.emplace_back(0, static_cast<int>(extents[i]));
        if (ranges.empty()) ranges.emplace_back(0, 1);
        r = RDom(ranges, "r");
        at = {c};
        for (size_t i = 1; i < extents.size(); i++) at.emplace_back(r[static_cast<int>(i) - 1]);
        at.emplace_back(n);
    }
    // Sum of `value`, an expression of c, n and r.
    Func sum(const std::string& name, const Strict& value) const {
        Func f(name);
        f(c, n) = 0.0F;
        f(c, n) = Strict(f(c, n)) + value;
        return f;
    }
    Var c{"c"}, n{"n"};
    RDom r;
    std::vector<Expr> at;
};

}  // namespace

std::vector<Func> PartialMoments::lower(const LowerContext& context, const std::vector<Func>& inputs) const {
    const SampleDomain domain(context.inputs[0]);
    const Var c = domain.c, n = domain.n;
    const Strict x(inputs[0](domain.at));
    Func mean(context.name + "__0"), m2(context.name + "__1");
    const Strict count(static_cast<float>(positions_of(context.inputs[0])));
    mean(c, n) = Strict(domain.sum(context.name + "__sum", x)(c, n)) / count;
    const Strict deviation = x - Strict(mean(c, n));
    m2(c, n) = domain.sum(context.name + "__squares", deviation * deviation)(c, n);
    return {mean, m2};
}

// Chan's formula for groups of equal size: the mean of the means, and their own squared deviations times the size added
// to those inside the groups.
std::vector<Func> MergeMoments::lower(const LowerContext& context, const std::vector<Func>& inputs) const {
    const Var c("c"), k("k");
    const RDom r(0, context.samples, "r");
    const Strict samples(samples_f32(context)), size(static_cast<float>(count));
    Func sum(context.name + "__sum"), mean(context.name + "__mean"), squares(context.name + "__squares");
    sum(c) = 0.0F;
    sum(c) = Strict(sum(c)) + Strict(inputs[0](c, r));
    mean(c) = Strict(sum(c)) / samples;
    const Strict deviation = Strict(inputs[0](c, r)) - Strict(mean(c));
    squares(c) = 0.0F;
    squares(c) = Strict(squares(c)) + (Strict(inputs[1](c, r)) + deviation * deviation * size);

    const TensorType& type = context.outputs[0];
    const Expr valid = is_value(type, {k}), inside = Halide::min(k, static_cast<int>(type.shape[0]) - 1);
    Func mean_out(context.name + "__0"), variance_out(context.name + "__1");
    mean_out(k) = Halide::select(valid, mean(inside), 0.0F);
    variance_out(k) = Halide::select(valid, Strict(squares(inside)) / (samples * size), 0.0F);
    return {mean_out, variance_out};
}

std::vector<Func> PartialDots::lower(const LowerContext& context, const std::vector<Func>& inputs) const {
    const SampleDomain domain(context.inputs[1]);
    const Strict dy(inputs[0](domain.at)), x(inputs[1](domain.at)), mean(inputs[2](domain.c));
    return {domain.sum(context.name + "__0", dy), domain.sum(context.name + "__1", dy * (x - mean))};
}

}  // namespace emulsion
