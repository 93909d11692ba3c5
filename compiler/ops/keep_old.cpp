// Updates that keep the old values.
#include "compiler/ops/keep_old.h"

#include <fmt/format.h>

#include "compiler/ops/expect.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

// Shape

std::vector<TensorType> KeepOld::infer(std::span<const TensorType> inputs) const {
    constexpr int64_t kMost = 16;
    if (tensors < 1 || tensors > kMost) {
        fail("attribute", fmt::format("tensors is {}", tensors),
             fmt::format("give it 1 to {} tensors", kMost));
    }
    expect_operands(inputs, static_cast<size_t>(arity()));
    const TensorType flag = plain_type({}, ElementType::i32);
    if (inputs[0] != flag) {
        fail("shape",
             fmt::format("the flag must be {}, but is {}", to_string(flag), to_string(inputs[0])),
             "give it a not_finite");
    }
    expect_f32(inputs[1], "new tensor");
    for (const TensorType& type : inputs.subspan(2)) expect_gradient_of(type, inputs[1]);
    return std::vector<TensorType>(static_cast<size_t>(tensors), inputs[1]);
}

// Lowering

std::vector<Halide::Expr> KeepOld::evaluate(const LowerContext&,
                                            const std::vector<Halide::Expr>& operands,
                                            const std::vector<Halide::Expr>&) const {
    const auto count = static_cast<size_t>(tensors);
    std::vector<Halide::Expr> next;
    for (size_t i = 1; i <= count; i++)
        next.push_back(Halide::select(operands[0] == 0, operands[i], operands[count + i]));
    return next;
}

}  // namespace emulsion
