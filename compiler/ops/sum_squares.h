// sum_squares(x) -> f32[]: the sum of the squares of all values of a parameter's gradient, in the
// fixed order of `reduce`. Its padding lanes are zero and add nothing.
#pragma once

#include "compiler/ops/reduce.h"

namespace emulsion {

class SumSquares : public Reduce {
  public:
    std::string_view kind() const override { return "sum_squares"; }
    void fields(Fields&) override {}
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext& context,
                                    const std::vector<Halide::Func>& inputs) const override;
    Halide::Expr term(const Halide::Expr& value) const override;
};

}  // namespace emulsion
