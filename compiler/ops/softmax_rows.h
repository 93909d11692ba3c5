// What softmax and the losses made of it share: rows of scores, one of each sample or, of a map
// [n,C,H,W], of each pixel, over its channels; lines and volumes have a row at each position alike.
//
// An op states its results by what is known of a row; where each of these is computed is up to who
// lowers it: the plain definition here, or a recipe.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "compiler/ops/lowering.h"

namespace emulsion {

// The row at one position (n), (x, n), (x, y, n) or (x, y, z, n), as expressions.
class SoftmaxRow {
  public:
    SoftmaxRow(int classes, std::vector<Halide::Var> position)
        : classes_(classes), position_(std::move(position)) {}
    virtual ~SoftmaxRow() = default;
    int classes() const { return classes_; }
    const std::vector<Halide::Var>& position() const { return position_; }

    virtual Halide::Expr score(const Halide::Expr& c) = 0;
    virtual Halide::Expr top() = 0;                           // the largest score
    virtual Halide::Expr power(const Halide::Expr& c) = 0;    // e^(score - top)
    virtual Halide::Expr sum() = 0;                           // of the powers
    virtual Halide::Expr probability(const Halide::Expr& c);  // power / sum
    virtual Halide::Expr place() = 0;  // the first class that has the largest score
    // The sum of `value` over all classes, each name once.
    using ValueOfClass = std::function<Halide::Expr(const Halide::Expr& c)>;
    virtual Halide::Expr total(const std::string& name, const ValueOfClass& value) = 0;
    // A number of each class, which is the same for all rows.
    virtual Halide::Expr constant(const std::vector<double>& values, const Halide::Expr& c);

    // Another operand here: one with a value a row, or with one of each class.
    Halide::Expr of_row(const Halide::Func& operand) const;
    Halide::Expr of_class(const Halide::Func& operand, const Halide::Expr& c) const;

  private:
    int classes_;
    std::vector<Halide::Var> position_;
};

class SoftmaxOp : public Op {
  public:
    OpClass op_class() const override { return OpClass::anchor; }
    // The results at class `c` of a row; one with a value a row does not depend on c.
    virtual std::vector<Halide::Expr> evaluate(SoftmaxRow& row,
                                               const std::vector<Halide::Func>& operands,
                                               const Halide::Expr& c) const = 0;
    std::vector<Halide::Func> lower(const LowerContext& context,
                                    const std::vector<Halide::Func>& inputs) const override;
};

// The coordinates of rows in a tensor with these: all but the first.
std::vector<Halide::Var> row_position(const std::vector<Halide::Var>& coordinates);

// Class indices of rows of scores. Error[element].
void expect_labels(const TensorType& scores, const TensorType& labels);

// values[index] as a tree of comparisons: no table in memory. REQUIRES: 0 <= index < size.
Halide::Expr choose_value(const std::vector<double>& values, const Halide::Expr& index);

}  // namespace emulsion
