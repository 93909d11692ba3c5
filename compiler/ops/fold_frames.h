// fold_frames(x [n,1,T]) {taps, hop, part} -> f32[n,taps/2+1,F]: halves of the frames of a signal.
// A frame has `taps` samples, and the next begins `hop` samples later: F = floor((T - taps) / hop)
// + 1. With b = hop f, sample m of frame f's half is
//     x(b + m) + x(b + taps - m)    part="even", 0 < m < taps / 2
//     x(b + m) - x(b + taps - m)    part="odd", 0 < m < taps / 2
//     x(b + m)                      m = 0 and m = taps / 2
// What weighs samples m and taps - m alike needs the even half of a frame alone, what weighs them
// with opposite signs the odd one: half of the multiply-adds. Example: f32[n,1,16000] with taps=400
// and hop=160 gives f32[n,201,98].
//
// fold_frames_backward(dy) {taps, hop, part, samples} -> dx [n,1,samples]: the adjoint.
#pragma once

#include "compiler/graph/op.h"

namespace emulsion {

class FoldFrames : public Op {
  public:
    std::string_view kind() const override { return "fold_frames"; }
    void fields(Fields& f) override {
        f.field("taps", taps);
        f.field("hop", hop);
        f.field("part", part);
    }
    OpClass op_class() const override { return OpClass::gather; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    int64_t taps = 2, hop = 1;
    std::string part = "even";
};

class FoldFramesBackward : public Op {
  public:
    std::string_view kind() const override { return "fold_frames_backward"; }
    void fields(Fields& f) override {
        f.field("taps", taps);
        f.field("hop", hop);
        f.field("part", part);
        f.field("samples", samples);
    }
    OpClass op_class() const override;
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    int64_t taps = 2, hop = 1;
    std::string part = "even";
    int64_t samples = 9;
};

}  // namespace emulsion
