// dense(x [n,F], w [O,F]) -> [n,O], without bias: y(o) = sum over f of x(f) * w(o, f). A flattened
// map keeps its order in memory; x and w must agree on it. Example: x f32[n,3136]{64,7,7}, w
// f32[128,3136]{64,7,7} gives f32[n,128].
//
// Its two gradients are ops of their own:
//     dense_backward_data(dy [n,O], w) -> dx, in the order of w
//     dense_backward_weights(x, dy [n,O]) -> dw, in the order of x; sums over all samples
#pragma once

#include "compiler/graph/op.h"

namespace emulsion {

class Dense : public Op {
  public:
    std::string_view kind() const override { return "dense"; }
    bool is_linear_in_filter() const override { return true; }
    OpClass op_class() const override { return OpClass::anchor; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    int64_t multiply_adds(std::span<const TensorType> inputs) const override;
};

class DenseBackwardData : public Op {
  public:
    std::string_view kind() const override { return "dense_backward_data"; }
    OpClass op_class() const override { return OpClass::anchor; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    int64_t multiply_adds(std::span<const TensorType> inputs) const override;
};

class DenseBackwardWeights : public Op {
  public:
    std::string_view kind() const override { return "dense_backward_weights"; }
    OpClass op_class() const override { return OpClass::anchor; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    int64_t multiply_adds(std::span<const TensorType> inputs) const override;
};

}  // namespace emulsion
