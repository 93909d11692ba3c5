// softmax(x [n,C]) -> [n,C]: e^x(c) / sum over k of e^x(k), computed from differences to the
// largest value, so that large inputs do not overflow.
#pragma once

#include "compiler/graph/op.h"

namespace emulsion {

class Softmax : public Op {
  public:
    std::string_view kind() const override { return "softmax"; }
    OpClass op_class() const override { return OpClass::anchor; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
};

// Per sample, a Tuple over (n): the largest score, the sum of e^(score - largest), and the first
// class that has the largest score. One pass over the scores. The Func is named NAME__sums.
Halide::Func softmax_sums(const std::string& name, const Halide::Func& scores, int64_t classes);

}  // namespace emulsion
