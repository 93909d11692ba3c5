// The end of a gradient's way.
#include "compiler/ops/stop_gradient.h"

#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"

namespace emulsion {

// Shape

std::vector<TensorType> StopGradient::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 1);
    return {inputs[0]};
}

// Lowering

std::vector<Halide::Func> StopGradient::lower(const LowerContext& context,
                                              const std::vector<Halide::Func>& inputs) const {
    const std::vector<Halide::Var> vars = coordinates(context.outputs[0]);
    Halide::Func out(context.name);
    out(vars) = inputs[0](as_exprs(vars));
    return {out};
}

}  // namespace emulsion
