// Sums over neighbouring channels.
#include "compiler/ops/channel_sum.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/graph/limits.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/strict.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;

// Shape

std::vector<TensorType> ChannelSum::infer(std::span<const TensorType> inputs) const {
    constexpr int64_t kMost = 31;
    expect_operands(inputs, 1);
    expect_channels(inputs[0], "input");
    if (std::min(before, after) < 0 || std::max(before, after) > kMost) {
        fail("attribute",
             fmt::format("the window has {} channels before and {} after its own", before, after),
             fmt::format("choose from 0 to {} on each side", kMost));
    }
    return {inputs[0]};
}

// Gradient

std::vector<Value> ChannelSum::gradient(GradientContext& context) const {
    auto mirrored = std::make_shared<ChannelSum>();
    mirrored->before = after;
    mirrored->after = before;
    return {context.add("dx", mirrored, {context.gradients[0]})};
}

// Lowering

// The window's channels in ascending order.
std::vector<Halide::Func> ChannelSum::lower(const LowerContext& context,
                                            const std::vector<Halide::Func>& inputs) const {
    const std::vector<Halide::Var> vars = coordinates(context.outputs[0]);
    const int channels = to_int(context.outputs[0].shape[0]);
    const int first = -std::min(to_int(before), channels - 1);
    const int last = std::min(to_int(after), channels - 1);
    Strict sum(0.0F);
    for (int k = first; k <= last; k++) {
        std::vector<Expr> at = as_exprs(vars);
        const Expr c = at[0] + k;
        if (k != 0) at[0] = Halide::clamp(c, 0, channels - 1);
        const Expr value = inputs[0](at);
        const Expr inside = k < 0 ? c >= 0 : c < channels;
        const Strict term(k == 0 ? value : Halide::select(inside, value, 0.0F));
        sum = k == first ? term : sum + term;
    }
    Halide::Func out(context.name);
    out(vars) = sum;
    return {out};
}

}  // namespace emulsion
