// deform_sample(x [n,C,H,W], offsets [n,2*KH*KW,OH,OW]) {kernel, stride, dilation, padding}
//     -> [n,C,OH*KH,OW*KW]: what the taps of a deformable convolution read, the cells of a position
// side by side, so that a convolution with this kernel and the stride KH, KW is all that is left.
//     y(c, i*KH + p, j*KW + q) = x(c, i*stride - top + p*dilation + offsets(2 t, i, j),
//                                     j*stride - left + q*dilation + offsets(2 t + 1, i, j))
// with t = p*KW + q, between cells bilinear, and zeros outside x. Offsets are in the order of
// torchvision's deform_conv2d with one offset group: down, then right, for each tap in turn.
//
// Its two gradients are ops of their own:
//     deform_sample_backward_data(dy, offsets) {input=[H,W]} -> dx
//     deform_sample_backward_offsets(dy, x, offsets) -> doffsets; at a whole number, the slope is
//         that towards larger ones
// (Dai and others, Deformable Convolutional Networks, 2017, equations 2 to 5.)
#pragma once

#include <Halide.h>

#include "compiler/graph/op.h"
#include "compiler/ops/window.h"

namespace emulsion {

// Attributes of the three, in order h, w; padding is top, bottom, left, right.
struct DeformAttributes {
    std::vector<int64_t> kernel = {1, 1};
    std::vector<int64_t> stride = {1, 1};
    std::vector<int64_t> dilation = {1, 1};
    std::vector<int64_t> padding = {0, 0, 0, 0};
    Window window() const { return {kernel, stride, dilation, padding, /*ceil=*/false}; }
    int64_t taps() const { return kernel[0] * kernel[1]; }
    void visit(Fields& f) {
        f.field("kernel", kernel);
        f.field("stride", stride);
        f.field("dilation", dilation);
        f.field("padding", padding);
    }
};

// Where a tap reads: between rows y and y + 1, a share `down` below the first, and between columns
// x and x + 1, a share `right` behind the first. A place beyond the map is moved to where all four
// cells are still outside.
struct DeformPlace {
    Halide::Expr y, x, down, right;
};
// Of cell (column, row) of the result, in a map of height by width cells.
DeformPlace deform_place(const DeformAttributes& op, const Halide::Func& offsets, int64_t height,
                         int64_t width, const Halide::Expr& column, const Halide::Expr& row,
                         const Halide::Expr& n);

class DeformSample : public Op, public DeformAttributes {
  public:
    std::string_view kind() const override { return "deform_sample"; }
    void fields(Fields& f) override { visit(f); }
    OpClass op_class() const override { return OpClass::anchor; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
};

class DeformSampleBackwardData : public Op, public DeformAttributes {
  public:
    std::string_view kind() const override { return "deform_sample_backward_data"; }
    void fields(Fields& f) override {
        visit(f);
        f.field("input", input);
    }
    OpClass op_class() const override { return OpClass::anchor; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    std::vector<int64_t> input = {1, 1};  // height and width of the map
};

class DeformSampleBackwardOffsets : public Op, public DeformAttributes {
  public:
    std::string_view kind() const override { return "deform_sample_backward_offsets"; }
    void fields(Fields& f) override { visit(f); }
    OpClass op_class() const override { return OpClass::anchor; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
};

}  // namespace emulsion
