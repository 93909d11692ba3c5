// Columns by their index.
#include "compiler/ops/gather.h"

#include <fmt/format.h>

#include "compiler/graph/limits.h"
#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/scatter_sum.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;

// Shape

std::vector<TensorType> Gather::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 2);
    const TensorType& x = inputs[0];
    if (x.shape.size() != 2 || !x.factors.empty()) {
        fail("rank",
             fmt::format("the columns must be a parameter (channels, columns) or of each sample "
                         "(n, channels, columns), but are {}",
                         to_string(x)),
             "give it a tensor with these two axes");
    }
    expect_f32(x, "columns");
    expect_index(inputs[1], *this);
    return {batched_type({x.shape[0], places_of(inputs[1])})};
}

int64_t Gather::index_limit(size_t operand, std::span<const TensorType> inputs) const {
    return operand == 1 ? inputs[0].shape[1] : 0;
}

std::optional<int64_t> Gather::ignored_index(size_t operand) const {
    return operand == 1 ? ignored_number() : std::nullopt;
}

// Gradient

std::vector<Value> Gather::gradient(GradientContext& context) const {
    std::vector<Value> result(2);
    if (!context.needed[0]) return result;
    const TensorType& x = context.type(context.inputs[0]);
    auto op = std::make_shared<ScatterSum>(*this);
    op->columns = x.shape[1];
    op->sum_samples = !x.batched;
    result[0] = context.add("dx", op, {context.gradients[0], context.inputs[1]});
    return result;
}

// Lowering

std::vector<Halide::Func> Gather::lower(const LowerContext& context,
                                        const std::vector<Halide::Func>& inputs) const {
    const TensorType& x = context.inputs[0];
    const std::vector<Halide::Var> vars = coordinates(context.outputs[0]);  // (c, x, n)
    const Expr c = vars[0], n = vars[2];
    const Column column = column_at(inputs[1], context.inputs[1], *this, x.shape[1], vars[1], n);
    const int lanes = to_int(kBlock);
    const Expr value =
        x.batched ? inputs[0](c, column.at, n) : inputs[0](c % lanes, column.at, c / lanes);
    Halide::Func out(context.name);
    out(vars) = Halide::select(column.counts, value, 0.0F);
    return {out};
}

}  // namespace emulsion
