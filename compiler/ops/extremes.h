// The larger and the smaller of two values, and values cut off at constants. A NaN in any operand
// gives a NaN. Operands broadcast as PointwiseOp says.
//
//     maximum(a, b), minimum(a, b)    where both are equal, each gets half of the gradient
//     clip(x) {low, high}             min(max(x, low), high); the derivative at the ends is 0
//     maximum_backward(dy, a, b)      a's part of the gradient of maximum(a, b)
//     clip_backward(dy, y)            of clip, from its result
#pragma once

#include "compiler/ops/unary.h"

namespace emulsion {

class Maximum : public BinaryOp {
  public:
    std::string_view kind() const override { return "maximum"; }
    std::vector<Value> gradient(GradientContext& context) const override;

  protected:
    Halide::Expr value(const Halide::Expr& a, const Halide::Expr& b) const override;
};

class Minimum : public BinaryOp {
  public:
    std::string_view kind() const override { return "minimum"; }
    std::vector<Value> gradient(GradientContext& context) const override;

  protected:
    Halide::Expr value(const Halide::Expr& a, const Halide::Expr& b) const override;
};

class MaximumBackward : public PointwiseOp {
  public:
    std::string_view kind() const override { return "maximum_backward"; }

  protected:
    int arity() const override { return 3; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

class Clip : public UnaryOp {
  public:
    Clip() = default;
    Clip(double least, double most) : low(least), high(most) {}
    std::string_view kind() const override { return "clip"; }
    bool is_monotone(std::span<const TensorType>) const override { return true; }
    void fields(Fields& f) override {
        f.field("low", low);
        f.field("high", high);
    }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    double low = 0, high = 1;  // low < high

  protected:
    Halide::Expr value(const Halide::Expr& x) const override;
};

class ClipBackward : public BinaryOp {
  public:
    ClipBackward() = default;
    ClipBackward(double least, double most) : low(least), high(most) {}
    std::string_view kind() const override { return "clip_backward"; }
    void fields(Fields& f) override {
        f.field("low", low);
        f.field("high", high);
    }
    double low = 0, high = 1;

  protected:
    Halide::Expr value(const Halide::Expr& dy, const Halide::Expr& y) const override;
};

}  // namespace emulsion
