// concatenate(a, b, …): joins maps or features along the channels, in order. f32[n,6,8,8] and
// f32[n,10,8,8] give f32[n,16,8,8].
#pragma once

#include "compiler/graph/op.h"

namespace emulsion {

class Concatenate : public Op {
  public:
    std::string_view kind() const override { return "concatenate"; }
    OpClass op_class() const override { return OpClass::gather; }
    bool joins_channels() const override { return true; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
};

}  // namespace emulsion
