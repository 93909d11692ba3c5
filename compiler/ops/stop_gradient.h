// stop_gradient(x) -> x: the same memory, and no gradient flows back through it: a value that a
// loss takes as it is, whatever it was computed from. f32[n,8,4,4] gives f32[n,8,4,4].
#pragma once

#include "compiler/graph/op.h"

namespace emulsion {

class StopGradient : public Op {
  public:
    std::string_view kind() const override { return "stop_gradient"; }
    OpClass op_class() const override { return OpClass::view; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext&) const override { return {Value()}; }
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
};

}  // namespace emulsion
