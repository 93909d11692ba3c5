// average_pool(x [n,C,H,W]) -> [n,C,OH,OW]: the mean of the cells of each window that lie inside
// the map. With count_padding=true cells of the padding count as zeros; what hangs over the padding
// never counts.
//
// average_pool_backward(dy) {input=[H,W]} -> dx: each cell gathers its share of every window it
// belongs to.
#pragma once

#include "compiler/ops/pool_attributes.h"

namespace emulsion {

class AveragePool : public Op, public PoolAttributes {
  public:
    std::string_view kind() const override { return "average_pool"; }
    void fields(Fields& f) override;
    OpClass op_class() const override { return OpClass::window; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    std::vector<int64_t> window_extents() const override { return window; }
    bool tiles(const TensorType& input) const override;
    bool count_padding = false;
};

class AveragePoolBackward : public Op, public PoolAttributes {
  public:
    std::string_view kind() const override { return "average_pool_backward"; }
    void fields(Fields& f) override;
    OpClass op_class() const override;
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    bool count_padding = false;
    std::vector<int64_t> input = {1, 1};  // height and width of the forward input
};

}  // namespace emulsion
