// local_dense(x [n,I,…], w (O,I,…)) -> [n,O,…]: at each position of a map a dense layer of its own,
//     y(n, o, p) = sum over i of x(n, i, p) * w(o, i, p).
// f32[n,27,6,6] and f32[16,27,6,6] give f32[n,16,6,6]. Of the patches of a map it is a locally
// connected layer: a convolution whose filter is another one at each position.
//
// Its two gradients are ops of their own:
//     local_dense_backward_data(dy, w) -> dx
//     local_dense_backward_weights(x, dy) -> dw; sums over all samples
#pragma once

#include "compiler/graph/op.h"

namespace emulsion {

class LocalDense : public Op {
  public:
    std::string_view kind() const override { return "local_dense"; }
    OpClass op_class() const override { return OpClass::anchor; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    int64_t multiply_adds(std::span<const TensorType> inputs) const override;
};

class LocalDenseBackwardData : public Op {
  public:
    std::string_view kind() const override { return "local_dense_backward_data"; }
    OpClass op_class() const override { return OpClass::anchor; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    int64_t multiply_adds(std::span<const TensorType> inputs) const override;
};

class LocalDenseBackwardWeights : public Op {
  public:
    std::string_view kind() const override { return "local_dense_backward_weights"; }
    OpClass op_class() const override { return OpClass::anchor; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    int64_t multiply_adds(std::span<const TensorType> inputs) const override;
};

}  // namespace emulsion
