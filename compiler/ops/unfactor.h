// unfactor(x [n,F]{C,H,W}) -> [n,F]: features of a flattened map brought from the map's order in
// memory into plain order. factor(x [n,F]) {factors=[C,H,W]} -> [n,F]{C,H,W} is the way back, and
// brings features of another map's order into that of this one too. Logical values do not change.
#pragma once

#include "compiler/graph/op.h"

namespace emulsion {

class Unfactor : public Op {
  public:
    std::string_view kind() const override { return "unfactor"; }
    OpClass op_class() const override { return OpClass::gather; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
};

class Factor : public Op {
  public:
    std::string_view kind() const override { return "factor"; }
    void fields(Fields& f) override { f.field("factors", factors); }
    OpClass op_class() const override { return OpClass::gather; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    std::vector<int64_t> factors = {1, 1, 1};
};

}  // namespace emulsion
