// scatter_sum(values [n,D,L], index i32[n,L]) {columns, sum_samples, row, ignored} -> [n,D,columns]
// or, with sum_samples, (D, columns): the sum of the values whose index is the column's, of each
// sample or of all; zeros where there is none.
//     y(n, d, v) = sum over the places l with index(n, l) = v of values(n, d, l)
// f32[n,16,400] and an i32[n,2,400] with columns=100 give f32[n,16,100]: what arrives at each of
// 100 vertices along 400 edges. Values of the ignored index go nowhere.
//
// A column is summed in the order of the places, sample by sample: whatever the number of threads,
// the bits are the same. Its gradient is gather (gather.h), and it is gather's.
#pragma once

#include "compiler/ops/index.h"

namespace emulsion {

class ScatterSum : public Op, public IndexAttributes {
  public:
    ScatterSum() = default;
    explicit ScatterSum(IndexAttributes attributes) : IndexAttributes(std::move(attributes)) {}
    std::string_view kind() const override { return "scatter_sum"; }
    void fields(Fields& f) override {
        f.field("columns", columns);
        f.field("sum_samples", sum_samples);
        visit(f);
    }
    OpClass op_class() const override { return OpClass::anchor; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    int64_t index_limit(size_t operand, std::span<const TensorType> inputs) const override;
    std::optional<int64_t> ignored_index(size_t operand) const override;
    int64_t columns = 1;
    bool sum_samples = false;
};

}  // namespace emulsion
