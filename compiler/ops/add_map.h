// add_map(x [n,C,H,W], b [C,H,W]) -> [n,C,H,W]: a parameter for each position of a map, added to
// every sample: an untied bias. Maps may have one to three axes of positions.
//
// sum_samples(x [n,C,H,W]) -> [C,H,W]: the sum over samples, hence its gradient.
#pragma once

#include "compiler/graph/op.h"

namespace emulsion {

class AddMap : public Op {
  public:
    std::string_view kind() const override { return "add_map"; }
    OpClass op_class() const override { return OpClass::gather; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
};

class SumSamples : public Op {
  public:
    std::string_view kind() const override { return "sum_samples"; }
    OpClass op_class() const override { return OpClass::anchor; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
};

}  // namespace emulsion
