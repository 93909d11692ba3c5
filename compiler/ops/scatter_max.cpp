// The largest of what has the same index.
#include "compiler/ops/scatter_max.h"

#include <fmt/format.h>

#include "compiler/graph/limits.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/strict.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;

// Shape

std::vector<TensorType> ScatterMax::infer(std::span<const TensorType> inputs) const {
    const std::vector<int64_t> shape = scattered_shape(inputs, *this, columns);
    return {batched_type(shape), batched_type(shape, ElementType::i32)};
}

std::vector<TensorType> ScatterMaxBackward::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 3);
    const TensorType& dy = inputs[0];
    if (!dy.batched || dy.shape.size() != 2) {
        fail("rank",
             fmt::format("the gradient must be (n, channels, columns), but is {}", to_string(dy)),
             "give it the gradient of a scatter_max");
    }
    expect_f32(dy, "gradient");
    TensorType winner = dy;
    winner.element = ElementType::i32;
    if (inputs[1] != winner) {
        fail("shape",
             fmt::format("the winner is {}, but the gradient {} needs {}", to_string(inputs[1]),
                         to_string(dy), to_string(winner)),
             "give it the second result of the scatter_max it belongs to");
    }
    expect_index(inputs[2], *this);
    return {batched_type({dy.shape[0], places_of(inputs[2])})};
}

int64_t ScatterMax::index_limit(size_t operand, std::span<const TensorType>) const {
    return operand == 1 ? columns : 0;
}

int64_t ScatterMaxBackward::index_limit(size_t operand, std::span<const TensorType> inputs) const {
    return operand == 2 ? inputs[0].shape[1] : 0;
}

std::optional<int64_t> ScatterMax::ignored_index(size_t operand) const {
    return operand == 1 ? ignored_number() : std::nullopt;
}

std::optional<int64_t> ScatterMaxBackward::ignored_index(size_t operand) const {
    return operand == 2 ? ignored_number() : std::nullopt;
}

// Gradient

std::vector<Value> ScatterMax::gradient(GradientContext& context) const {
    std::vector<Value> result(2);
    if (!context.needed[0]) return result;
    result[0] = context.add("dvalues", std::make_shared<ScatterMaxBackward>(*this),
                            {context.gradients[0], context.outputs[1], context.inputs[1]});
    return result;
}

// Lowering

Expr wins(const Func& values, const Expr& c, const Expr& place, const Expr& winner, const Expr& n) {
    const Strict value(values(c, place, n)), best(values(c, Halide::max(winner, 0), n));
    return winner < 0 || value > best || (!is_number(value) && is_number(best));
}

std::vector<Func> largest_of(const Func& values, const Func& winners, int64_t places,
                             const std::string& name) {
    Var c("c"), x("x"), n("n");
    const Expr winner = winners(c, x, n);
    Func value(name + "__value"), number(name + "__winner");
    value(c, x, n) = Halide::select(winner < 0, 0.0F,
                                    values(c, Halide::clamp(winner, 0, to_int(places - 1)), n));
    number(c, x, n) = winner;
    return {value, number};
}

// Every column looks at every place: what the definition says, and slow.
std::vector<Func> ScatterMax::lower(const LowerContext& context,
                                    const std::vector<Func>& inputs) const {
    const TensorType& index = context.inputs[1];
    const int places = to_int(places_of(index));
    Var c("c"), x("x"), n("n");
    const RDom r(0, places, context.name + "__r");
    const Column column = column_at(inputs[1], index, *this, columns, r, n);
    Func best(context.name + "__best");
    best(c, x, n) = -1;
    const Expr before = Halide::clamp(best(c, x, n), -1, places - 1);
    best(c, x, n) = Halide::select(
        column.counts && column.at == x && wins(inputs[0], c, r, before, n), Expr(r), before);
    return largest_of(inputs[0], best, places, context.name);
}

std::vector<Func> ScatterMaxBackward::lower(const LowerContext& context,
                                            const std::vector<Func>& inputs) const {
    Var c("c"), x("x"), n("n");
    const Column column =
        column_at(inputs[2], context.inputs[2], *this, context.inputs[0].shape[1], x, n);
    Func out(context.name);
    out(c, x, n) = Halide::select(column.counts && inputs[1](c, column.at, n) == x,
                                  inputs[0](c, column.at, n), 0.0F);
    return {out};
}

}  // namespace emulsion
