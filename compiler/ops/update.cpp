// The shape rule of updates, and the decay of the weights.
#include "compiler/ops/update.h"

#include <fmt/format.h>

#include "compiler/ops/expect.h"
#include "compiler/ops/strict.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

// Shape

void expect_update(std::span<const TensorType> inputs, size_t tensors, size_t scalars) {
    expect_operands(inputs, tensors + scalars);
    expect_f32(inputs[0], "parameter");
    if (inputs[0].batched) {
        fail("shape", fmt::format("the parameter is {}, one for each sample", to_string(inputs[0])),
             "update parameters only");
    }
    for (const TensorType& type : inputs.subspan(1, tensors - 1))
        expect_gradient_of(type, inputs[0]);
    for (const TensorType& type : inputs.subspan(tensors)) {
        if (type == plain_type({})) continue;
        fail("shape", fmt::format("a rate must be f32[], but is {}", to_string(type)),
             "give it a scalar");
    }
}

void expect_scalars(int64_t scalars) {
    if (scalars == 1 || scalars == 2) return;
    fail("attribute", fmt::format("scalars is {}", scalars), "give it 1 or 2");
}

// Lowering

Strict decayed(const Strict& gradient, const Strict& w, double weight_decay) {
    return weight_decay == 0 ? gradient : gradient + w * Strict(weight_decay);
}

}  // namespace emulsion
