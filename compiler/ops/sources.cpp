// Nodes without inputs.
#include "compiler/ops/sources.h"

#include "compiler/ops/expect.h"
#include "compiler/ops/lowering.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

std::vector<TensorType> SourceOp::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 0);
    return {type_};
}

std::vector<TensorType> Parameter::infer(std::span<const TensorType> inputs) const {
    expect_number(scale, "scale");
    return SourceOp::infer(inputs);
}

std::vector<TensorType> State::infer(std::span<const TensorType> inputs) const {
    expect_number(value, "value");
    return SourceOp::infer(inputs);
}

std::vector<TensorType> Constant::infer(std::span<const TensorType> inputs) const {
    expect_number(value, "value");
    return SourceOp::infer(inputs);
}

std::vector<Halide::Func> SourceOp::lower(const LowerContext& context,
                                          const std::vector<Halide::Func>&) const {
    EMU_CHECK(false, "the source '{}' is memory or an argument and computes nothing", context.name);
    return {};
}

std::vector<Halide::Func> Constant::lower(const LowerContext& context,
                                          const std::vector<Halide::Func>&) const {
    const TensorType& type = context.outputs[0];
    const std::vector<Halide::Var> vars = coordinates(type);
    const Halide::Expr number = Halide::cast(halide_type(type.element), static_cast<float>(value));
    Halide::Func out(context.name);
    out(vars) =
        Halide::select(is_value(type, as_exprs(vars)), number, Halide::cast(number.type(), 0));
    return {out};
}

}  // namespace emulsion
