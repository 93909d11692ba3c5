// squared_distance(x [n,I], centers (O,I)) -> [n,O]: of each sample from each center,
//     y(n, o) = sum over i of (x(n, i) - centers(o, i))^2.
// f32[n,84] and f32[10,84] give f32[n,10]. A pass writes it with a matrix product
// (passes/expand_squared_distance.h), as its gradient is from the first.
#pragma once

#include "compiler/graph/op.h"

namespace emulsion {

class SquaredDistance : public Op {
  public:
    std::string_view kind() const override { return "squared_distance"; }
    OpClass op_class() const override { return OpClass::anchor; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    int64_t multiply_adds(std::span<const TensorType> inputs) const override;
};

}  // namespace emulsion
