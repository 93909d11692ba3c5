// rotate_filter(w [O,I,KH,KW]) -> [I,O,KH,KW] with the axes of its taps, one to three, reversed:
// r(i, o, p, q) = w(o, i, KH-1-p, KW-1-q). With it the data gradient of a convolution is a
// convolution. Example: f32[32,16,5,5] gives f32[16,32,5,5]. With `groups` G, [O,I,KH,KW] becomes
// [G*I,O/G,KH,KW], the filters of each group by themselves.
#pragma once

#include "compiler/graph/op.h"

namespace emulsion {

class RotateFilter : public Op {
  public:
    RotateFilter() = default;
    explicit RotateFilter(int64_t count) : groups(count) {}
    std::string_view kind() const override { return "rotate_filter"; }
    void fields(Fields& f) override { f.field("groups", groups); }
    OpClass op_class() const override { return OpClass::gather; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    int64_t groups = 1;
};

}  // namespace emulsion
