// Frames of a signal, folded about their middle.
#include "compiler/ops/fold_frames.h"

#include <fmt/format.h>

#include "compiler/graph/limits.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/strict.h"
#include "compiler/ops/window_lowering.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::Var;

// Shape

namespace {

constexpr int64_t kMostTaps = 1 << 15;

void expect_frames(int64_t taps, int64_t hop, const std::string& part, int64_t samples) {
    if (taps < 1 || taps > kMostTaps || hop < 1 || hop > kMostNumber) {
        fail("attribute",
             fmt::format("frames have {} samples and follow each other by {}, but must have 1 to "
                         "{}, and follow by 1 to {}",
                         taps, hop, kMostTaps, kMostNumber),
             "choose the samples of a frame, such as 400, and a hop, such as 160");
    }
    if (part != "even" && part != "odd") {
        fail("attribute", fmt::format("there is no part '{}'", part), "choose \"even\" or \"odd\"");
    }
    if (samples < taps || samples > kMostNumber) {
        fail("attribute", fmt::format("a frame has {} samples, but the signal {}", taps, samples),
             "choose shorter frames or a longer signal");
    }
}

int64_t frames_in(int64_t samples, int64_t taps, int64_t hop) { return (samples - taps) / hop + 1; }

bool is_line(const TensorType& type) { return type.batched && type.shape.size() == 2; }

}  // namespace

std::vector<TensorType> FoldFrames::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_f32(inputs[0], "signal");
    if (!is_line(inputs[0]) || inputs[0].shape[0] != 1) {
        fail("rank",
             fmt::format("the signal must be (n, 1, samples), but is {}", to_string(inputs[0])),
             "reshape it, or split its channels");
    }
    const int64_t samples = inputs[0].shape[1];
    expect_frames(taps, hop, part, samples);
    return {batched_type({taps / 2 + 1, frames_in(samples, taps, hop)})};
}

std::vector<TensorType> FoldFramesBackward::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    expect_f32(inputs[0], "gradient");
    expect_frames(taps, hop, part, samples);
    const TensorType folded = batched_type({taps / 2 + 1, frames_in(samples, taps, hop)});
    if (inputs[0] != folded) {
        fail("shape",
             fmt::format("the halves of the frames of {} samples are {}, but the gradient is {}",
                         samples, to_string(folded), to_string(inputs[0])),
             "give it the gradient of what fold_frames has made");
    }
    return {batched_type({1, samples})};
}

// Gradient

std::vector<Value> FoldFrames::gradient(GradientContext& context) const {
    auto op = std::make_shared<FoldFramesBackward>();
    op->taps = taps;
    op->hop = hop;
    op->part = part;
    op->samples = context.type(context.inputs[0]).shape[1];
    return {context.add("dx", op, {context.gradients[0]})};
}

// Lowering

std::vector<Func> FoldFrames::lower(const LowerContext& context,
                                    const std::vector<Func>& inputs) const {
    const std::vector<Var> at = coordinates(context.outputs[0]);
    const Var m = at[0], f = at[1], n = at[2];
    const int length = to_int(taps);
    const auto read = [&](const Expr& t) {
        return Strict(Expr(inputs[0](0, f * to_int(hop) + t, n)));
    };
    // Vectors of neither end read what lies side by side.
    const Expr mirror = length - Halide::max(Halide::likely(m), 1);
    const Expr is_pair = m > 0 && 2 * m < length;
    const Strict first = read(m), second = choose(is_pair, read(mirror), 0.0F);
    Func half(context.name);
    half(at) = part == "even" ? first + second : first - second;
    return {half};
}

namespace {

// Frames that hold a sample, at most.
int64_t most_frames(int64_t taps, int64_t hop) { return hop < 1 ? 0 : (taps + hop - 1) / hop; }

}  // namespace

OpClass FoldFramesBackward::op_class() const {
    return most_frames(taps, hop) > kMostTerms ? OpClass::anchor : OpClass::gather;
}

std::vector<Func> FoldFramesBackward::lower(const LowerContext& context,
                                            const std::vector<Func>& inputs) const {
    const std::vector<Var> at = coordinates(context.outputs[0]);
    const Var sample = at[1], n = at[2];
    const int length = to_int(taps), step = to_int(hop), middle = to_int(taps / 2);
    const int last = to_int(frames_in(samples, taps, hop)) - 1;
    // Of the frame that begins k frames before the last one to begin at the sample or before it.
    const auto term = [&](const Expr& k) {
        const Expr f = sample / step - k, t = sample % step + k * step;
        const Expr m = Halide::clamp(Halide::select(t <= middle, t, length - t), 0, middle);
        const Strict dy(Expr(inputs[0](m, Halide::clamp(f, 0, last), n)));
        const Strict sign = choose(part == "even" || t <= middle, 1.0F, -1.0F);
        return choose(t < length && f >= 0 && f <= last, sign * dy, 0.0F);
    };
    return {sum_of_terms(context.name, at, most_frames(taps, hop), term)};
}

}  // namespace emulsion
