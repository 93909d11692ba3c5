// concatenate(a, b, …) {axis}: joins maps or features along an axis, in order; 0 is the channels.
// f32[n,6,8,8] and f32[n,10,8,8] give f32[n,16,8,8].
#pragma once

#include "compiler/graph/op.h"

namespace emulsion {

class Concatenate : public Op {
  public:
    std::string_view kind() const override { return "concatenate"; }
    void fields(Fields& f) override { f.field("axis", axis); }
    OpClass op_class() const override { return OpClass::gather; }
    bool joins_channels() const override { return axis == 0; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    int64_t axis = 0;
};

}  // namespace emulsion
