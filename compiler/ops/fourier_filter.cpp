// Filters of a Fourier transform. Angles are counted in whole quarters of a step of the frame, so
// that none is rounded before its cosine is taken.
#include "compiler/ops/fourier_filter.h"

#include <fmt/format.h>

#include "compiler/graph/limits.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/functions.h"
#include "compiler/ops/strict.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;

// Shape

std::vector<TensorType> FourierFilter::infer(std::span<const TensorType> inputs) const {
    constexpr int64_t kMostSize = 1 << 15;
    expect_operands(inputs, 0);
    if (size < 1 || size > kMostSize) {
        fail("attribute", fmt::format("the size is {}, but must be 1 to {}", size, kMostSize),
             "choose the samples of a frame, such as 512");
    }
    if (taps < 1 || taps > size) {
        fail("attribute",
             fmt::format("the window has {} samples, but a frame {}: it must have 1 to {}", taps,
                         size, size),
             "choose a window that fits into the frame, or longer frames");
    }
    if (window != "hann" && window != "hamming" && window != "rectangular") {
        fail("attribute", fmt::format("there is no window '{}'", window),
             "choose \"hann\", \"hamming\" or \"rectangular\"");
    }
    if (part != "cosine" && part != "sine") {
        fail("attribute", fmt::format("there is no part '{}'", part),
             "choose \"cosine\" or \"sine\"");
    }
    if (!folded) return {plain_type({size / 2 + 1, 1, taps})};
    if ((size - taps) % 2 != 0) {
        fail("attribute",
             fmt::format("a window of {} samples does not lie in the middle of a frame of {}, so "
                         "that it cannot be folded",
                         taps, size),
             "choose a window longer or shorter by one, or folded=false");
    }
    return {plain_type({size / 2 + 1, taps / 2 + 1, 1})};
}

// Lowering

namespace {

// cos(2 pi q / (4 n)) for 0 <= q <= 6 n.
Strict cosine(const Expr& q, int n) {
    const Expr centered = Halide::select(q > 2 * n, q - 4 * n, q);  // -2 n ... 2 n
    return Strict(
        cosine_of_turns_f32(Strict(Halide::cast<float>(centered)) / static_cast<float>(4 * n)));
}

}  // namespace

std::vector<Expr> FourierFilter::evaluate(const LowerContext& context, const std::vector<Expr>&,
                                          const std::vector<Expr>& at) const {
    const int n = to_int(size), length = to_int(taps), before = (n - length) / 2;
    const Expr bin = Halide::min(first_axis(context.outputs[0], at), n / 2);
    const Expr t = folded ? at[1] : at[2];
    // -sin(a) = cos(a + pi / 2)
    const int shift = part == "sine" ? n : 0;
    Strict value = cosine(4 * ((bin * (t + before)) % n) + shift, n);
    if (window != "rectangular") {
        const double middle = window == "hann" ? 0.5 : 0.54;
        value = value * (Strict(middle) - Strict(1 - middle) * cosine(4 * t, length));
    }
    return {value};
}

}  // namespace emulsion
