// Losses of single elements and their backwards. A comparison with a NaN is false, and each choice
// below then takes the side that hands the NaN on, to the test of the loss.
#include "compiler/ops/element_losses.h"

#include <fmt/format.h>

#include "compiler/ops/expect.h"
#include "compiler/ops/strict.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

using Halide::Expr;
using Exprs = std::vector<Halide::Expr>;

// Shape

namespace {

void expect_target(const TensorType& prediction, const TensorType& target) {
    if (target == prediction) return;
    fail("shape",
         fmt::format("the prediction is {}, but the target is {}", to_string(prediction),
                     to_string(target)),
         "give it a target of the prediction's shape");
}

void expect_positive(double value, std::string_view name) {
    expect_number(value, name);
    if (value > 0) return;
    fail("attribute", fmt::format("the {} is {}, but must be greater than 0", name, value),
         "choose a positive number, such as 1");
}

}  // namespace

std::vector<TensorType> ElementLoss::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 2);
    expect_f32(inputs[0], "prediction");
    expect_target(inputs[0], inputs[1]);
    check();
    return {inputs[0]};
}

std::vector<TensorType> ElementLossBackward::infer(std::span<const TensorType> inputs) const {
    expect_operands(inputs, 3);
    expect_f32(inputs[0], "prediction");
    expect_target(inputs[0], inputs[1]);
    expect_gradient_of(inputs[2], inputs[0]);
    return {inputs[0]};
}

void Huber::check() const { expect_positive(delta, "delta"); }

void BinaryCrossEntropy::check() const { expect_positive(positive_weight, "positive weight"); }

// Gradient

std::vector<Value> ElementLoss::gradient(GradientContext& context) const {
    std::vector<Value> result(2);
    for (size_t i = 0; i < 2; i++) {
        if (!context.needed[i]) continue;
        result[i] = context.add(i == 0 ? "dprediction" : "dtarget", backward(i == 1),
                                {context.inputs[0], context.inputs[1], context.gradients[0]});
    }
    return result;
}

namespace {

template <class Backward>
std::shared_ptr<Backward> make_backward(bool of_target) {
    auto op = std::make_shared<Backward>();
    op->of_target = of_target;
    return op;
}

}  // namespace

std::shared_ptr<const Op> AbsoluteError::backward(bool of_target) const {
    return make_backward<AbsoluteErrorBackward>(of_target);
}

std::shared_ptr<const Op> Huber::backward(bool of_target) const {
    auto op = make_backward<HuberBackward>(of_target);
    op->delta = delta;
    return op;
}

std::shared_ptr<const Op> BinaryCrossEntropy::backward(bool of_target) const {
    auto op = make_backward<BinaryCrossEntropyBackward>(of_target);
    op->positive_weight = positive_weight;
    return op;
}

std::shared_ptr<const Op> Hinge::backward(bool of_target) const {
    return make_backward<HingeBackward>(of_target);
}

// Lowering

namespace {

Strict negative(const Strict& x) { return Strict(0.0F) - x; }

// log(1 + e^-|x|), to the last digits however large |x| is: with u = e^-|x| in (0, 1] it is twice
// the inverse hyperbolic tangent of u / (2 + u), which is 1 / 3 at most.
Strict log_of_one_and_power(const Strict& x) {
    const Strict size = choose(x < 0.0F, x, negative(x));  // -|x|
    const Strict u(exp_f32(size));
    const Strict z = u / (u + 2.0F), w = z * z;
    Strict series(1.0F / 15.0F);
    for (int factor = 13; factor > 0; factor -= 2) series = series * w + Strict(1.0 / factor);
    return series * (z + z);
}

// The sides of log(1 + e^x) and log(1 + e^-x) that grow.
Strict above(const Strict& x) { return choose(x < 0.0F, 0.0F, x); }
Strict below(const Strict& x) { return choose(x > 0.0F, 0.0F, negative(x)); }

}  // namespace

Exprs AbsoluteError::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    const Strict d = Strict(operands[0]) - Strict(operands[1]);
    return {choose(d < 0.0F, negative(d), d)};
}

Exprs AbsoluteErrorBackward::evaluate(const LowerContext&, const Exprs& operands,
                                      const Exprs&) const {
    const Strict d = Strict(operands[0]) - Strict(operands[1]);
    const Strict up = of_target ? negative(operands[2]) : Strict(operands[2]);
    return {choose(d > 0.0F, up, choose(d < 0.0F, negative(up), 0.0F))};
}

Exprs Huber::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    const Strict d = Strict(operands[0]) - Strict(operands[1]);
    const Strict size = choose(d < 0.0F, negative(d), d);
    return {choose(size > Strict(delta), Strict(delta) * (size - Strict(delta / 2)),
                   d * d * Strict(0.5F))};
}

Exprs HuberBackward::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    const Strict d = Strict(operands[0]) - Strict(operands[1]);
    const Strict high = choose(d > Strict(delta), Strict(delta), d);
    const Strict slope = choose(high < Strict(-delta), Strict(-delta), high);
    const Strict up = of_target ? negative(operands[2]) : Strict(operands[2]);
    return {slope * up};
}

Exprs BinaryCrossEntropy::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    const Strict x(operands[0]), t(operands[1]), rest = log_of_one_and_power(x);
    return {(Strict(1.0F) - t) * (above(x) + rest) +
            t * Strict(positive_weight) * (below(x) + rest)};
}

Exprs BinaryCrossEntropyBackward::evaluate(const LowerContext&, const Exprs& operands,
                                           const Exprs&) const {
    const Strict x(operands[0]), t(operands[1]), up(operands[2]), p(positive_weight);
    if (of_target) {
        const Strict rest = log_of_one_and_power(x);
        return {(p * (below(x) + rest) - (above(x) + rest)) * up};
    }
    const Strict share(logistic_f32(x));
    return {(share * (Strict(1.0F) + Strict(positive_weight - 1) * t) - p * t) * up};
}

Exprs Hinge::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    const Strict short_of = Strict(1.0F) - Strict(operands[0]) * Strict(operands[1]);
    return {choose(short_of < 0.0F, 0.0F, short_of)};
}

Exprs HingeBackward::evaluate(const LowerContext&, const Exprs& operands, const Exprs&) const {
    const Strict x(operands[0]), t(operands[1]), up(operands[2]);
    const Strict short_of = Strict(1.0F) - x * t;
    return {choose(short_of > 0.0F, negative((of_target ? x : t) * up), 0.0F)};
}

}  // namespace emulsion
