// fold_filter(w [O,I,KD,KH,KW]) -> [O,KD*I,KH,KW]: the taps in depth among the channels, tap by
// tap: r(o, d * I + i, p, q) = w(o, i, d, p, q); with interleaved=true channel by channel, as i *
// KD + d. A convolution with it reads a map of so many channels, and computes what one with w does.
// Example: f32[32,16,3,5,5] gives f32[32,48,5,5].
//
// unfold_filter(r [O,KD*I,KH,KW]) {depth=KD} -> [O,I,KD,KH,KW] is the way back.
#pragma once

#include "compiler/graph/op.h"

namespace emulsion {

class FoldFilter : public Op {
  public:
    FoldFilter() = default;
    explicit FoldFilter(bool by_channels) : interleaved(by_channels) {}
    std::string_view kind() const override { return "fold_filter"; }
    void fields(Fields& f) override { f.field("interleaved", interleaved); }
    OpClass op_class() const override { return OpClass::gather; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    bool interleaved = false;
};

class UnfoldFilter : public Op {
  public:
    UnfoldFilter() = default;
    UnfoldFilter(int64_t taps, bool by_channels) : depth(taps), interleaved(by_channels) {}
    std::string_view kind() const override { return "unfold_filter"; }
    void fields(Fields& f) override {
        f.field("depth", depth);
        f.field("interleaved", interleaved);
    }
    OpClass op_class() const override { return OpClass::gather; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    int64_t depth = 1;
    bool interleaved = false;
};

}  // namespace emulsion
