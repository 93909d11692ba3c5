// conv2d(x [n,C,H,W], w [O,C,KH,KW]) -> [n,O,OH,OW], cross-correlation without bias:
//     y(o, i, j) = sum over c, p, q of
//                  x(c, i*stride - top + p*dilation, j*stride - left + q*dilation) * w(o, c, p, q)
// with zeros outside x. Example: x f32[n,1,28,28], w f32[32,1,5,5], padding [2,2,2,2] gives
// f32[n,32,28,28]. Maps of one or three axes of positions are convolved in the same way, by filters
// with as many axes: x f32[n,4,100], w f32[8,4,3] gives f32[n,8,98], and x f32[n,1,9,28,28], w
// f32[16,1,3,5,5] gives f32[n,16,7,24,24].
//
// With `groups` G, channels and filters are G sets one after another, each a convolution of its
// own: w is [O,C/G,KH,KW], and filter o reads the channels g*C/G + c of its set, g = o / (O/G)
// rounded down. G = C is a depthwise convolution; O/C filters then read each channel.
//
// Its two gradients are ops of their own:
//     conv2d_backward_data(dy, w) {input=[H,W]} -> dx; with rotated=true, w is rotate_filter's
//                                                    result [C,O,KH,KW]
//                                                    It is also the transposed convolution of dy,
//                                                    and as such has gradients of its own.
//     conv2d_backward_filter(x, dy) {kernel=[KH,KW]} -> dw; sums over all samples
//
// Recipes know two axes: passes/two_axes.h brings others to these.
#pragma once

#include "compiler/graph/op.h"
#include "compiler/ops/window.h"

namespace emulsion {

// Attributes of the three, one number for each axis in order h, w (or l, or d, h, w); padding is
// two for each: top, bottom, left, right.
struct ConvAttributes {
    std::vector<int64_t> stride = {1, 1};
    std::vector<int64_t> dilation = {1, 1};
    std::vector<int64_t> padding = {0, 0, 0, 0};
    int64_t groups = 1;
    Window window(std::span<const int64_t> kernel) const;
    Window window(int64_t kernel_height, int64_t kernel_width) const {
        return window(std::vector{kernel_height, kernel_width});
    }
    // The same of a filter (O, I, KH, KW).
    Window window_of(const TensorType& filter) const {
        return window(std::span(filter.shape).subspan(2));
    }
    void visit(Fields& f);
};

class Conv2d : public Op, public ConvAttributes {
  public:
    std::string_view kind() const override { return "conv2d"; }
    void fields(Fields& f) override { visit(f); }
    OpClass op_class() const override { return OpClass::anchor; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    int64_t multiply_adds(std::span<const TensorType> inputs) const override;
    bool is_linear_in_filter() const override { return true; }
    bool stages(size_t operand) const override { return operand == 0; }
};

class Conv2dBackwardData : public Op, public ConvAttributes {
  public:
    std::string_view kind() const override { return "conv2d_backward_data"; }
    void fields(Fields& f) override;
    OpClass op_class() const override { return OpClass::anchor; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    int64_t multiply_adds(std::span<const TensorType> inputs) const override;
    bool stages(size_t operand) const override { return operand == 0; }
    std::vector<int64_t> input = {1, 1};  // extents of the positions of the forward input
    bool rotated = false;
};

class Conv2dBackwardFilter : public Op, public ConvAttributes {
  public:
    std::string_view kind() const override { return "conv2d_backward_filter"; }
    void fields(Fields& f) override;
    OpClass op_class() const override { return OpClass::anchor; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    int64_t multiply_adds(std::span<const TensorType> inputs) const override;
    bool stages(size_t) const override { return true; }
    std::vector<int64_t> kernel = {1, 1};
};

}  // namespace emulsion
