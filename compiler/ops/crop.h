// crop(x) {begin, count, step}: of each axis `count` cells, the first one `begin` and each next one
// `step` further on; axis 0 is the channels. f32[n,3,8,8] with begin=[0,1,0], count=[3,6,4],
// step=[1,1,2] gives f32[n,3,6,4].
//
// crop_backward(dy) {begin, step, input} -> dx: dy in its places among zeros, in a map of the shape
// `input`.
//
// A range of channels alone is a slice, which need not be copied.
#pragma once

#include "compiler/graph/op.h"

namespace emulsion {

class Crop : public Op {
  public:
    std::string_view kind() const override { return "crop"; }
    void fields(Fields& f) override {
        f.field("begin", begin);
        f.field("count", count);
        f.field("step", step);
    }
    OpClass op_class() const override { return OpClass::gather; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    std::vector<int64_t> begin, count, step;
};

class CropBackward : public Op {
  public:
    std::string_view kind() const override { return "crop_backward"; }
    void fields(Fields& f) override {
        f.field("begin", begin);
        f.field("step", step);
        f.field("input", input);
    }
    OpClass op_class() const override { return OpClass::gather; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    std::vector<int64_t> begin, step, input;
};

}  // namespace emulsion
