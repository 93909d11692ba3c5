// expand(x) {shape} -> f32[n,shape]: repeats x over a larger shape, as operands of a pointwise op
// are: from [n,C], [n], (C), () or a tensor with an extent of 1 on some axes. The gradient of
// reduce. The values are multiplied by `scale` and, with per_sample=true, divided by the samples of
// the call. Examples: f32[n,32] or f32[n,1,7,7] with shape=[32,7,7] gives f32[n,32,7,7]. With
// batched=false the result is a parameter.
#pragma once

#include "compiler/graph/op.h"

namespace emulsion {

class Expand : public Op {
  public:
    std::string_view kind() const override { return "expand"; }
    void fields(Fields& f) override {
        f.field("shape", shape);
        f.field("factors", factors);
        f.field("batched", batched);
        f.field("scale", scale);
        f.field("per_sample", per_sample);
    }
    OpClass op_class() const override { return OpClass::pointwise; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    std::vector<int64_t> shape;
    std::vector<int64_t> factors;
    bool batched = true;
    double scale = 1;
    bool per_sample = false;
};

}  // namespace emulsion
