// mel_filter() {size, bands, rate, low, high, scale, norm} -> f32[bands,size/2+1,1]: the filters of
// a line of spectra (bins of frames of `size` samples, `rate` samples a second) that sum bands even
// in pitch. Edges p_0 … p_(bands+1), in hertz, lie evenly between `low` and `high` on the scale
//     scale="htk"     2595 log10(1 + f / 700)
//     scale="slaney"  3 f / 200 up to 1000 Hz, then 15 + 27 log(f / 1000) / log(6.4)
// and band m weighs the bin k, f = k rate / size, with
//     max(0, min((f - p_m) / (p_(m+1) - p_m), (p_(m+2) - f) / (p_(m+2) - p_(m+1))))
// times 2 / (p_(m+2) - p_m) with norm="slaney", times 1 with norm="none". These are torchaudio's
// MelScale (by default htk and none) and librosa's filters.mel (slaney and slaney).
// Example: size=400, bands=40 gives f32[40,201,1].
//
// The result follows from the attributes alone, as that of fourier_filter.
#pragma once

#include "compiler/ops/lowering.h"

namespace emulsion {

class MelFilter : public PointwiseOp {
  public:
    std::string_view kind() const override { return "mel_filter"; }
    void fields(Fields& f) override {
        f.field("size", size);
        f.field("bands", bands);
        f.field("rate", rate);
        f.field("low", low);
        f.field("high", high);
        f.field("scale", scale);
        f.field("norm", norm);
    }
    // Refuses bands without a bin: whatever sounds, they would be silent.
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    int64_t size = 512, bands = 16;             // at most 32768 and 1024
    double rate = 16000, low = 0, high = 8000;  // 0 <= low < high <= rate / 2
    std::string scale = "htk", norm = "none";

  protected:
    int arity() const override { return 0; }
    std::vector<Halide::Expr> evaluate(const LowerContext& context,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;

  private:
    std::vector<double> edges() const;  // p_0 ..., in bins
    void expect_bins() const;
};

}  // namespace emulsion
