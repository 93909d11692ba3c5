// The taps of a filter in depth, moved among its channels.
#include "compiler/ops/fold_filter.h"

#include <fmt/format.h>

#include "compiler/graph/limits.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::Var;

// Shape

std::vector<TensorType> FoldFilter::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_parameter(inputs[0], 5, "filter", "(out, in, kd, kh, kw)");
    const std::vector<int64_t>& w = inputs[0].shape;
    return {plain_type({w[0], w[2] * w[1], w[3], w[4]})};
}

std::vector<TensorType> UnfoldFilter::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_parameter(inputs[0], 4, "filter", "(out, in, kh, kw)");
    const std::vector<int64_t>& w = inputs[0].shape;
    if (depth < 1 || w[1] % depth != 0) {
        fail("attribute", fmt::format("{} channels cannot hold {} taps each in depth", w[1], depth),
             "choose a depth that divides the channels");
    }
    return {plain_type({w[0], w[1] / depth, depth, w[2], w[3]})};
}

// Gradient

std::vector<Value> FoldFilter::gradient(GradientContext& context) const {
    const int64_t depth = context.type(context.inputs[0]).shape[2];
    return {context.add("dw", std::make_shared<UnfoldFilter>(depth, interleaved),
                        {context.gradients[0]})};
}

std::vector<Value> UnfoldFilter::gradient(GradientContext& context) const {
    return {context.add("dw", std::make_shared<FoldFilter>(interleaved), {context.gradients[0]})};
}

// Lowering

std::vector<Func> FoldFilter::lower(const LowerContext& context,
                                    const std::vector<Func>& inputs) const {
    const std::vector<int64_t>& w = context.inputs[0].shape;
    Var lane("lane"), i("i"), kx("kx"), ky("ky"), k("k");
    const int each = to_int(interleaved ? w[2] : w[1]);
    const Expr first = i / each, second = i % each;
    Func out(context.name);  // (lane, i, kx, ky, k)
    out(lane, i, kx, ky, k) = interleaved ? inputs[0](lane, first, kx, ky, second, k)
                                          : inputs[0](lane, second, kx, ky, first, k);
    return {out};
}

std::vector<Func> UnfoldFilter::lower(const LowerContext& context,
                                      const std::vector<Func>& inputs) const {
    const int channels = to_int(context.outputs[0].shape[1]), taps = to_int(depth);
    Var lane("lane"), i("i"), kx("kx"), ky("ky"), kz("kz"), k("k");
    const Expr channel = interleaved ? i * taps + kz : kz * channels + i;
    Func out(context.name);  // (lane, i, kx, ky, kz, k)
    out(lane, i, kx, ky, kz, k) = inputs[0](lane, channel, kx, ky, k);
    return {out};
}

}  // namespace emulsion
