// Rows of scores, their plain definition: one pass for what every op needs, one more for each sum
// of an op's own.
#include "compiler/ops/softmax_rows.h"

#include <fmt/format.h>

#include <algorithm>

#include "compiler/graph/limits.h"
#include "compiler/ops/strict.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::Tuple;
using Halide::Var;

void expect_labels(const TensorType& scores, const TensorType& labels) {
    const TensorType wanted = row_type(scores, ElementType::i32);
    if (labels == wanted) return;
    const bool is_map = scores.shape.size() > 1;
    const bool has_pixels = scores.shape.size() == 3;
    fail("element",
         fmt::format("the labels must be {}, one class index per {}, but are {}", to_string(wanted),
                     has_pixels ? "pixel"
                     : is_map   ? "position"
                                : "sample",
                     to_string(labels)),
         is_map ? "give it an integer input with one channel and the scores' positions as labels"
                : "give it an integer input without axes of its own as labels");
}

std::vector<Var> row_position(const std::vector<Var>& coordinates) {
    return {coordinates.begin() + 1, coordinates.end()};
}

namespace {

// The values begin … end - 1; neighbours that are equal are one leaf.
Expr choose_between(const std::vector<double>& values, size_t begin, size_t end,
                    const Expr& index) {
    const bool is_one = std::all_of(values.begin() + static_cast<std::ptrdiff_t>(begin),
                                    values.begin() + static_cast<std::ptrdiff_t>(end),
                                    [&](double value) { return value == values[begin]; });
    if (is_one) return static_cast<float>(values[begin]);
    const size_t middle = begin + (end - begin) / 2;
    return Halide::select(index < static_cast<int>(middle),
                          choose_between(values, begin, middle, index),
                          choose_between(values, middle, end, index));
}

}  // namespace

Expr choose_value(const std::vector<double>& values, const Expr& index) {
    return choose_between(values, 0, values.size(), index);
}

// A row

Expr SoftmaxRow::probability(const Expr& c) { return Strict(power(c)) / Strict(sum()); }

Expr SoftmaxRow::constant(const std::vector<double>& values, const Expr& c) {
    return choose_value(values, c);
}

Expr SoftmaxRow::of_row(const Func& operand) const {
    std::vector<Expr> at = as_exprs(position_);
    if (operand.dimensions() > static_cast<int>(at.size())) at.insert(at.begin(), 0);
    return operand(at);
}

Expr SoftmaxRow::of_class(const Func& operand, const Expr& c) const {
    std::vector<Expr> at = as_exprs(position_);
    at.insert(at.begin(), c);
    return operand(at);
}

// Lowering

namespace {

class PlainRow : public SoftmaxRow {
  public:
    PlainRow(std::string name, Func scores, int classes, const std::vector<Var>& position)
        : SoftmaxRow(classes, position),
          name_(std::move(name)),
          scores_(std::move(scores)),
          sums_(name_ + "__sums") {
        sums_(position) = Tuple(of_class(scores_, 0), 1.0F, 0);
        const Halide::RDom r(1, classes - 1, name_ + "__r");
        const Expr next = of_class(scores_, r), largest = Halide::max(top(), next);
        const Strict old_sum = Strict(sum()) * Strict(exp_f32(Strict(top()) - Strict(largest)));
        const Strict new_sum = old_sum + Strict(exp_f32(Strict(next) - Strict(largest)));
        sums_(position) = Tuple(largest, new_sum, Halide::select(next > top(), r, place()));
    }
    Expr score(const Expr& c) override { return of_class(scores_, c); }
    Expr top() override { return value(0); }
    Expr power(const Expr& c) override { return exp_f32(Strict(score(c)) - Strict(top())); }
    Expr sum() override { return value(1); }
    Expr place() override { return value(2); }
    Expr total(const std::string& name, const ValueOfClass& value) override {
        const std::vector<Expr> at = as_exprs(position());
        Func total(name_ + "__" + name);
        const Halide::RDom r(0, classes(), name_ + "__" + name + "_r");
        total(position()) = 0.0F;
        total(position()) = Strict(Expr(total(at))) + Strict(value(r));
        return total(at);
    }

  private:
    Expr value(int k) const { return sums_(as_exprs(position()))[static_cast<size_t>(k)]; }

    std::string name_;
    Func scores_, sums_;  // sums_: largest, sum, first class
};

}  // namespace

std::vector<Func> SoftmaxOp::lower(const LowerContext& context,
                                   const std::vector<Func>& inputs) const {
    const std::vector<Var> at = coordinates(context.inputs[0]);
    PlainRow row(context.name, inputs[0], to_int(context.inputs[0].shape[0]), row_position(at));
    const std::vector<Expr> values = evaluate(row, inputs, at[0]);
    std::vector<Func> results;
    for (size_t k = 0; k < values.size(); k++) {
        const bool is_row = context.outputs[k].shape.empty();
        Func result(values.size() == 1 ? context.name : context.name + "__" + std::to_string(k));
        result(is_row ? row.position() : at) = values[k];
        results.push_back(result);
    }
    return results;
}

}  // namespace emulsion
