// Moments and dots of batch normalisation in their plain form: one running sum each, in the order
// of memory.
#include "compiler/ops/moments.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/graph/limits.h"
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
    fail("channels",
         fmt::format("{} has {} channels, but a per-channel operand is {}", to_string(map),
                     map.shape[0], to_string(type)),
         fmt::format("give it {}", to_string(expected)));
}

void expect_statistics(const TensorType& type, const TensorType& map) {
    if (type != batched_type({map.shape[0]})) expect_channels(type, map);
}

TensorType strip_type(const TensorType& map) {
    const int64_t rows = map.shape.size() > 2 ? map.shape[1] : 1;
    return batched_type({map.shape[0], (rows + kStripRows - 1) / kStripRows, 1});
}

std::vector<TensorType> PartialMoments::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_normalizable(inputs[0]);
    return {strip_type(inputs[0]), strip_type(inputs[0]), strip_type(inputs[0])};
}

std::vector<TensorType> MergeMoments::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 3);
    expect_map(inputs[0], "pivot");
    expect_gradient_of(inputs[1], inputs[0]);
    expect_gradient_of(inputs[2], inputs[0]);
    if (width < 1 || height < 1) {
        fail("attribute", fmt::format("the map is {}", by(height, width)),
             "give width and height of the map, 1 or more");
    }
    const TensorType expected = strip_type(batched_type({inputs[0].shape[0], height, width}));
    if (inputs[0] != expected) {
        fail("shape",
             fmt::format("a map of {} has strips {}, but the pivot is {}", by(height, width),
                         to_string(expected), to_string(inputs[0])),
             "pass the results of partial_moments, and width and height of its map");
    }
    return {plain_type({inputs[0].shape[0]}), plain_type({inputs[0].shape[0]})};
}

std::vector<TensorType> PartialDots::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 3);
    expect_normalizable(inputs[1]);
    expect_gradient_of(inputs[0], inputs[1]);
    expect_statistics(inputs[2], inputs[1]);
    return {strip_type(inputs[1]), strip_type(inputs[1])};
}

// Lowering

namespace {

// All positions of strip s of sample n, channel c: (c, r.x, kStripRows * s + r.y, n).
struct StripDomain {
    explicit StripDomain(const TensorType& type) {
        const std::vector<int64_t> extents = memory_extents(type);  // C, W, H
        width = extents.size() > 1 ? to_int(extents[1]) : 1;
        height = extents.size() > 2 ? to_int(extents[2]) : 1;
        r = RDom(0, width, 0, std::min(height, kStripRows), "r");
        const Expr y = kStripRows * s + r.y;
        if (height % kStripRows != 0 && height > kStripRows) r.where(y < height);
        at = {c};
        if (extents.size() > 1) at.emplace_back(r.x);
        if (extents.size() > 2) at.emplace_back(Halide::min(y, height - 1));
        at.emplace_back(n);
    }
    // Sum of `value`, an expression of c, s, n and r, as a Func over (c, w, s, n).
    Func sum(const std::string& name, const Strict& value) const {
        Func f(name);
        f(c, w, s, n) = 0.0F;
        f(c, w, s, n) = Strict(f(c, w, s, n)) + value;
        return f;
    }
    Var c{"c"}, w{"w"}, s{"s"}, n{"n"};
    int width, height;
    RDom r;
    std::vector<Expr> at;
};

}  // namespace

Expr strip_count(const Expr& strip, int width, int height) {
    if (height <= kStripRows || height % kStripRows == 0) {
        return static_cast<float>(width * std::min(height, kStripRows));
    }
    return Halide::cast<float>(width * Halide::min(kStripRows, height - kStripRows * strip));
}

std::vector<Func> PartialMoments::lower(const LowerContext& context,
                                        const std::vector<Func>& inputs) const {
    const StripDomain domain(context.inputs[0]);
    const Var c = domain.c, w = domain.w, s = domain.s, n = domain.n;
    Func pivot(context.name + "__0");
    std::vector<Expr> first = domain.at;
    if (first.size() > 2) first[1] = 0;
    if (first.size() > 3) first[2] = s * kStripRows;
    pivot(c, w, s, n) = inputs[0](first);
    const Strict deviation = Strict(inputs[0](domain.at)) - Strict(pivot(c, 0, s, n));
    return {pivot, domain.sum(context.name + "__1", deviation),
            domain.sum(context.name + "__2", deviation * deviation)};
}

// The mean of all values from those of the strips, then their squared deviations: those inside a
// strip, and a strip's size times the square of its mean's.
std::vector<Func> MergeMoments::lower(const LowerContext& context,
                                      const std::vector<Func>& inputs) const {
    const Var c("c"), k("k");
    const RDom r(0, to_int(context.inputs[0].shape[1]), 0, context.samples, "r");
    const Strict count(strip_count(r.x, to_int(width), to_int(height)));
    const Strict total = Strict(samples_f32(context)) * Strict(static_cast<float>(width * height));
    const Strict pivot(inputs[0](c, 0, r.x, r.y)), offset(inputs[1](c, 0, r.x, r.y));
    Func sum(context.name + "__sum"), mean(context.name + "__mean"),
        squares(context.name + "__squares");
    sum(c) = 0.0F;
    sum(c) = Strict(sum(c)) + (pivot * count + offset);
    mean(c) = Strict(sum(c)) / total;
    const Strict average = offset / count, apart = pivot + average - Strict(mean(c));
    squares(c) = 0.0F;
    squares(c) = Strict(squares(c)) +
                 (Strict(inputs[2](c, 0, r.x, r.y)) - average * offset + apart * apart * count);

    const TensorType& type = context.outputs[0];
    const Expr valid = is_value(type, {k}), inside = Halide::min(k, to_int(type.shape[0]) - 1);
    Func mean_out(context.name + "__0"), variance_out(context.name + "__1");
    mean_out(k) = Halide::select(valid, mean(inside), 0.0F);
    variance_out(k) = Halide::select(valid, Strict(squares(inside)) / total, 0.0F);
    return {mean_out, variance_out};
}

std::vector<Func> PartialDots::lower(const LowerContext& context,
                                     const std::vector<Func>& inputs) const {
    const StripDomain domain(context.inputs[1]);
    const bool of_sample = context.inputs[2].batched;
    const Strict dy(inputs[0](domain.at)), x(inputs[1](domain.at));
    const Strict mean(of_sample ? Expr(inputs[2](domain.c, domain.n)) : Expr(inputs[2](domain.c)));
    return {domain.sum(context.name + "__0", dy),
            domain.sum(context.name + "__1", dy * (x - mean))};
}

}  // namespace emulsion
