// gather(x, index i32[n,L]) {row, ignored} -> [n,D,L]: column index(n, l) of x, which is a
// parameter (D, V), the same for all samples, or a map [n,D,V] of each: the vectors of the words of
// a text, or those of the vertices at the ends of edges. Zeros where the index is the ignored one.
//     y(n, d, l) = x(d, index(n, l))   or   x(n, d, index(n, l))
// f32[300,20000] and i32[n,50] give f32[n,300,50]. Of an index i32[n,R,L] one row is read.
//
// Its gradient is scatter_sum (scatter_sum.h), which costs a sum of L columns, not of V.
#pragma once

#include "compiler/ops/index.h"

namespace emulsion {

class Gather : public Op, public IndexAttributes {
  public:
    Gather() = default;
    explicit Gather(IndexAttributes attributes) : IndexAttributes(std::move(attributes)) {}
    std::string_view kind() const override { return "gather"; }
    void fields(Fields& f) override { visit(f); }
    OpClass op_class() const override { return OpClass::gather; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    int64_t index_limit(size_t operand, std::span<const TensorType> inputs) const override;
    std::optional<int64_t> ignored_index(size_t operand) const override;
};

}  // namespace emulsion
