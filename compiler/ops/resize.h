// resize(x) {size, mode}: a map at other extents, `size` of them for all axes but the channels.
// Cell i of `out` cells looks at position (i + 1/2) * in / out - 1/2 of `in` cells, that of its
// centre:
//     "nearest"   the cell that holds it, floor((i + 1/2) * in / out)
//     "bilinear"  the cells on both sides of it along each axis, weighed by how near they are; the
//                 outermost cell stands for what would lie beyond it
// f32[n,8,5,5] with size=[10,10] gives f32[n,8,10,10]. Positions are counted in whole numbers, so
// that no extent is rounded.
//
// resize_backward(dy) {axis, input, output, mode} -> dx: along one axis, from `output` cells back
// to `input`: the adjoint.
#pragma once

#include "compiler/graph/op.h"

namespace emulsion {

class Resize : public Op {
  public:
    std::string_view kind() const override { return "resize"; }
    void fields(Fields& f) override {
        f.field("size", size);
        f.field("mode", mode);
    }
    OpClass op_class() const override { return OpClass::gather; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    std::vector<int64_t> size;
    std::string mode = "nearest";
};

class ResizeBackward : public Op {
  public:
    std::string_view kind() const override { return "resize_backward"; }
    void fields(Fields& f) override {
        f.field("axis", axis);
        f.field("input", input);
        f.field("output", output);
        f.field("mode", mode);
    }
    OpClass op_class() const override;
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    int64_t axis = 1;
    int64_t input = 1, output = 1;
    std::string mode = "nearest";
};

}  // namespace emulsion
