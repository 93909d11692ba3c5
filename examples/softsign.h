// The op of lesson 4.
//
//     softsign(x) {sharpness}    x / (1 + sharpness * |x|)
//
// An activation between -1 / sharpness and 1 / sharpness that needs no exponential.
#pragma once

#include "compiler/ops/arithmetic.h"
#include "compiler/ops/elementary.h"
#include "dsl/own_op.h"

class Softsign : public emulsion::UnaryOp {
  public:
    Softsign() = default;
    explicit Softsign(double value) : sharpness(value) {}

    // What the op is called in messages and in .emu files, and its attributes there.
    std::string_view kind() const override { return "softsign"; }
    void fields(emulsion::Fields& f) override { f.field("sharpness", sharpness); }

    // Shape: that of the operand, as of every elementwise op. Wrong attributes are refused here.
    std::vector<emulsion::TensorType> infer(
        std::span<const emulsion::TensorType> inputs) const override {
        if (!(sharpness > 0))
            emulsion::fail("attribute", "the sharpness of softsign is not above 0",
                           "choose a positive number; 1 is usual");
        return UnaryOp::infer(inputs);
    }

    // Gradient, made of ops: dy * (1 - sharpness * |y|)^2, from the result y.
    std::vector<emulsion::Value> gradient(emulsion::GradientContext& context) const override {
        using emulsion::Abs, emulsion::Multiply, emulsion::Scale, emulsion::Shift, emulsion::Value;
        const Value size = context.add("size", std::make_shared<Abs>(), {context.outputs[0]});
        const Value less = context.add("less", std::make_shared<Scale>(-sharpness), {size});
        const Value root = context.add("root", std::make_shared<Shift>(1), {less});
        const Value slope = context.add("slope", std::make_shared<Multiply>(), {root, root});
        return {context.add("dx", std::make_shared<Multiply>(), {context.gradients[0], slope})};
    }

    double sharpness = 1;

  protected:
    // Lowering: the formula. A Strict is rounded as written, so that every processor gives the same
    // bits.
    Halide::Expr value(const Halide::Expr& x) const override {
        using emulsion::Strict;
        return Strict(x) / (Strict(1.0) + Strict(sharpness) * Strict(Halide::abs(x)));
    }
};

// The layer: what the model file writes.
inline emulsion::Tensor softsign(const emulsion::Tensor& x, double sharpness = 1,
                                 emulsion::Place where = emulsion::Place::current()) {
    return emulsion::own_op(Softsign(sharpness), {x}, {}, where);
}
