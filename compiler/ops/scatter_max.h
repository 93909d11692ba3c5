// scatter_max(values [n,D,L], index i32[n,L]) {columns, row, ignored} -> value [n,D,columns],
// winner i32[n,D,columns]: the largest of the values whose index is the column's, and its place,
// the first of equal ones; 0, and the place -1, where there is none. A NaN wins over all numbers.
//     value(n, d, v) = max over the places l with index(n, l) = v of values(n, d, l)
// f32[n,16,400] and an i32[n,2,400] with columns=100 give f32[n,16,100]: the largest of what
// arrives at each of 100 vertices along 400 edges. Values of the ignored index go nowhere.
//
// scatter_max_backward(dy, winner, index) {row, ignored} -> [n,D,L]: what a column gets goes back
// to its winner alone.
#pragma once

#include "compiler/ops/index.h"

namespace emulsion {

class ScatterMax : public Op, public IndexAttributes {
  public:
    std::string_view kind() const override { return "scatter_max"; }
    void fields(Fields& f) override {
        f.field("columns", columns);
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
};

class ScatterMaxBackward : public Op, public IndexAttributes {
  public:
    ScatterMaxBackward() = default;
    explicit ScatterMaxBackward(IndexAttributes attributes)
        : IndexAttributes(std::move(attributes)) {}
    std::string_view kind() const override { return "scatter_max_backward"; }
    void fields(Fields& f) override { visit(f); }
    OpClass op_class() const override { return OpClass::gather; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Func> lower(const LowerContext&,
                                    const std::vector<Halide::Func>&) const override;
    int64_t index_limit(size_t operand, std::span<const TensorType> inputs) const override;
    std::optional<int64_t> ignored_index(size_t operand) const override;
};

// Of the values (c, place, n): whether that at `place`, which is behind `winner`, takes its place.
// A winner of -1 is none.
Halide::Expr wins(const Halide::Func& values, const Halide::Expr& c, const Halide::Expr& place,
                  const Halide::Expr& winner, const Halide::Expr& n);

// The two results from the places of the winners (c, x, n) of `places` values.
std::vector<Halide::Func> largest_of(const Halide::Func& values, const Halide::Func& winners,
                                     int64_t places, const std::string& name);

}  // namespace emulsion
