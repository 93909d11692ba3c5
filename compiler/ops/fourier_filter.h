// fourier_filter() {size, taps, window, part, folded} -> f32[size/2+1,1,taps]: the filters of a
// line that turn a frame of `size` samples into its discrete Fourier transform. With w the window,
// `taps` samples long and in the middle of the frame, before = floor((size - taps) / 2) behind its
// begin, filter k is
//     part="cosine"   w(t) cos(2 pi k (t + before) / size), the real part of bin k
//     part="sine"    -w(t) sin(2 pi k (t + before) / size), the imaginary one
// with the windows, u = 2 pi t / taps (those that PyTorch and SciPy call periodic),
//     window="hann"         1/2 - 1/2 cos u
//     window="hamming"      0.54 - 0.46 cos u
//     window="rectangular"  1
// Error below 6e-7. Example: size=400, taps=400 gives f32[201,1,400].
//
// With folded=true, the filters of the halves that fold_frames makes: f32[size/2+1,taps/2+1,1], of
// cosines those of the even halves and of sines of the odd ones. The window must lie in the middle
// of the frame, so that filters weigh its samples t and taps - t alike, or with opposite signs.
//
// The result follows from the attributes alone: inference computes it once, a training step anew
// each time, a cosine or two for each of its values.
#pragma once

#include "compiler/ops/lowering.h"

namespace emulsion {

class FourierFilter : public PointwiseOp {
  public:
    std::string_view kind() const override { return "fourier_filter"; }
    void fields(Fields& f) override {
        f.field("size", size);
        f.field("taps", taps);
        f.field("window", window);
        f.field("part", part);
        f.field("folded", folded);
    }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    int64_t size = 16, taps = 16;  // 1 <= taps <= size <= 32768
    std::string window = "hann", part = "cosine";
    bool folded = false;

  protected:
    int arity() const override { return 0; }
    std::vector<Halide::Expr> evaluate(const LowerContext& context,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

}  // namespace emulsion
