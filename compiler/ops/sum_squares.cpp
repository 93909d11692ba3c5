// Sums of squares.
#include "compiler/ops/sum_squares.h"

#include <fmt/format.h>

#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/ops/strict.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

// Shape

std::vector<TensorType> SumSquares::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    if (inputs[0].batched) {
        fail("shape", fmt::format("the input is {}, one for each sample", to_string(inputs[0])),
             "sum up gradients of parameters only");
    }
    return Reduce::infer(inputs);
}

// Gradient

std::vector<Value> SumSquares::gradient(GradientContext& context) const {
    return Op::gradient(context);
}

// Lowering

Halide::Expr SumSquares::term(const Halide::Expr& value) const {
    return Strict(value) * Strict(value);
}

std::vector<Halide::Func> SumSquares::lower(const LowerContext& context,
                                            const std::vector<Halide::Func>& inputs) const {
    const std::vector<Halide::Var> at = coordinates(context.inputs[0]);
    Halide::Func squares(fmt::format("{}__squares", context.name));
    squares(at) = term(inputs[0](at));
    return Reduce::lower(context, {squares});
}

}  // namespace emulsion
