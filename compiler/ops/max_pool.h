// max_pool(x [n,C,H,W]) -> value [n,C,OH,OW], index u8 [n,C,OH,OW]: the largest cell of each
// window, and the number ky * KW + kx of the first tap inside the map that holds it. Padding never
// wins: taps outside the map are moved to its border. A window with a NaN gives a NaN, and so does
// one whose cells do not add up: with infinities of both signs, or beyond half the largest float.
// Example: window [2,2], stride [2,2] takes f32[n,32,28,28] to f32[n,32,14,14] and u8[n,32,14,14].
//
// max_pool_backward(dy, index) {input=[H,W]} -> dx: each cell gathers dy of the windows whose
// winner it is. It is also the unpooling of dy, and as such has a gradient:
//
// max_pool_winners(x, index) -> [n,C,OH,OW]: of each window the cell of x with this number.
#pragma once

#include "compiler/graph/op.h"
#include "compiler/ops/pool_attributes.h"

namespace emulsion {

class MaxPool : public Op, public PoolAttributes {
  public:
    std::string_view kind() const override { return "max_pool"; }
    void fields(Fields& f) override { visit(f); }
    OpClass op_class() const override { return OpClass::window; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    std::vector<int64_t> window_extents() const override { return window; }
    bool tiles(const TensorType& input) const override;
};

class MaxPoolBackward : public Op, public PoolAttributes {
  public:
    std::string_view kind() const override { return "max_pool_backward"; }
    void fields(Fields& f) override;
    OpClass op_class() const override;
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    std::vector<int64_t> input = {1, 1};  // height and width of the forward input
};

class MaxPoolWinners : public Op, public PoolAttributes {
  public:
    std::string_view kind() const override { return "max_pool_winners"; }
    void fields(Fields& f) override { visit(f); }
    OpClass op_class() const override { return OpClass::gather; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
};

}  // namespace emulsion
