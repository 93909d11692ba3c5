// Adam and AdamW.
#include "compiler/ops/adam.h"

#include <fmt/format.h>

#include "compiler/ops/expect.h"
#include "compiler/ops/strict.h"
#include "compiler/ops/update.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Exprs = std::vector<Halide::Expr>;

// Shape

std::vector<TensorType> AdamCorrection::infer(std::span<const TensorType> inputs) const {
    expect_number(beta, "beta");
    return PointwiseOp::infer(inputs);
}

std::vector<TensorType> AdamUpdate::infer(std::span<const TensorType> inputs) const {
    if (form != "outside" && form != "inside" && form != "keras") {
        fail("attribute", fmt::format("form is \"{}\"", form),
             "choose \"outside\", \"inside\" or \"keras\"");
    }
    expect_update(inputs, 4, 3);
    expect_number(beta1, "beta1");
    expect_number(beta2, "beta2");
    expect_epsilon(epsilon);
    expect_number(weight_decay, "weight decay");
    return {inputs[0], inputs[0], inputs[0]};
}

// Lowering

Exprs AdamCorrection::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    const Strict c(operands[0]);
    return {c + (Strict(1.0F) - c) * Strict(1 - beta)};
}

Exprs AdamUpdate::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    const Strict w(operands[0]), m(operands[2]), v(operands[3]), rate(operands[6]), eps(epsilon),
        one(1.0F);
    const Strict d = decayed(operands[1], w, decoupled ? 0 : weight_decay);
    const Strict m_next = m + (d - m) * Strict(1 - beta1);
    const Strict v_next = v + (d * d - v) * Strict(1 - beta2);
    const Strict c1 = bias_correction ? Strict(operands[4]) : one;
    const Strict c2 = bias_correction ? Strict(operands[5]) : one;
    Strict step(0.0F);
    if (form == "keras") {
        step = rate * square_root(c2) / c1 * m_next / (square_root(v_next) + eps);
    } else {
        const Strict spread = v_next / c2;
        step = rate * (m_next / c1) /
               (form == "inside" ? square_root(spread + eps) : square_root(spread) + eps);
    }
    if (weight_decay != 0 && decoupled) step = step + rate * Strict(weight_decay) * w;
    return {w - step, m_next, v_next};
}

}  // namespace emulsion
