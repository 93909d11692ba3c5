// pad(x) {before, after, border, value}: cells around x, `before` of each axis in front and `after`
// behind; axis 0 is the channels. What the new cells hold is said by `border`:
//     "constant"   `value`
//     "reflect"    x mirrored at its outermost cells, which are not repeated: c b | a b c | b a
//     "symmetric"  x mirrored at its edges: b a | a b c | c b
//     "replicate"  the outermost cell: a a | a b c | c c
// Example: f32[n,3,5,5] with before=[0,1,1], after=[0,1,2] gives f32[n,3,7,8].
//
// pad_backward(dy) {axis, before, after, border} -> dx: along one axis, for every border but a
// constant one: the gradient of a cell is the sum of those of all its copies.
#pragma once

#include "compiler/graph/op.h"

namespace emulsion {

class Pad : public Op {
  public:
    std::string_view kind() const override { return "pad"; }
    void fields(Fields& f) override {
        f.field("before", before);
        f.field("after", after);
        f.field("border", border);
        f.field("value", value);
    }
    OpClass op_class() const override { return OpClass::gather; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    std::vector<int64_t> before, after;
    std::string border = "constant";
    double value = 0;
};

class PadBackward : public Op {
  public:
    std::string_view kind() const override { return "pad_backward"; }
    void fields(Fields& f) override {
        f.field("axis", axis);
        f.field("before", before);
        f.field("after", after);
        f.field("border", border);
    }
    OpClass op_class() const override;
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    int64_t axis = 0;
    int64_t before = 0, after = 0;
    std::string border = "reflect";
};

}  // namespace emulsion
