// transpose(x) {order}: axis a of the result is axis order[a] of x; axis 0 is the channels.
// f32[n,3,8,6] with order=[0,2,1] gives f32[n,3,6,8], y(c, w, h) = x(c, h, w).
//
// channel_shuffle(x) {groups}: the channels as `groups` rows of equal length, read column by
// column: channel g * (C / groups) + i becomes channel i * groups + g.
//
// flip(x) {axes}: these axes in reverse order; of a parameter all but the first one.
#pragma once

#include "compiler/graph/op.h"

namespace emulsion {

class Transpose : public Op {
  public:
    std::string_view kind() const override { return "transpose"; }
    void fields(Fields& f) override { f.field("order", order); }
    OpClass op_class() const override { return OpClass::gather; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    std::vector<int64_t> order;
};

class ChannelShuffle : public Op {
  public:
    std::string_view kind() const override { return "channel_shuffle"; }
    void fields(Fields& f) override { f.field("groups", groups); }
    OpClass op_class() const override { return OpClass::gather; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    int64_t groups = 1;
};

class Flip : public Op {
  public:
    std::string_view kind() const override { return "flip"; }
    void fields(Fields& f) override { f.field("axes", axes); }
    OpClass op_class() const override { return OpClass::gather; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    std::vector<int64_t> axes;
};

}  // namespace emulsion
