// Elementary functions of one operand. All give the same bits on every target; a NaN stays one.
//
//     exp         e^x; 0 below -87.3, the largest number above 88.7 (functions.h, lowering.h)
//     log         the natural logarithm: -infinity at 0 and where x is too small to be a normal
//                 number, NaN below 0
//     sqrt        correctly rounded; NaN below 0. Its derivative at 0 is no number
//     abs         |x|; the derivative at 0 is 0
//     power       x^exponent for a constant exponent, see power_f32
//     reciprocal  numerator / x, correctly rounded
#pragma once

#include "compiler/ops/unary.h"

namespace emulsion {

class Exp : public UnaryOp {
  public:
    std::string_view kind() const override { return "exp"; }
    std::vector<Value> gradient(GradientContext& context) const override;

  protected:
    Halide::Expr value(const Halide::Expr& x) const override;
};

class Log : public UnaryOp {
  public:
    std::string_view kind() const override { return "log"; }
    std::vector<Value> gradient(GradientContext& context) const override;

  protected:
    Halide::Expr value(const Halide::Expr& x) const override;
};

class Sqrt : public UnaryOp {
  public:
    std::string_view kind() const override { return "sqrt"; }
    std::vector<Value> gradient(GradientContext& context) const override;

  protected:
    Halide::Expr value(const Halide::Expr& x) const override;
};

class Abs : public UnaryOp {
  public:
    std::string_view kind() const override { return "abs"; }
    std::vector<Value> gradient(GradientContext& context) const override;

  protected:
    Halide::Expr value(const Halide::Expr& x) const override;
};

class Power : public UnaryOp {
  public:
    Power() = default;
    explicit Power(double number) : exponent(number) {}
    std::string_view kind() const override { return "power"; }
    void fields(Fields& f) override { f.field("exponent", exponent); }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    double exponent = 2;

  protected:
    Halide::Expr value(const Halide::Expr& x) const override;
};

class Reciprocal : public UnaryOp {
  public:
    Reciprocal() = default;
    explicit Reciprocal(double number) : numerator(number) {}
    std::string_view kind() const override { return "reciprocal"; }
    void fields(Fields& f) override { f.field("numerator", numerator); }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    double numerator = 1;

  protected:
    Halide::Expr value(const Halide::Expr& x) const override;
};

// (dy, x) -> dx
class AbsBackward : public BinaryOp {
  public:
    std::string_view kind() const override { return "abs_backward"; }

  protected:
    Halide::Expr value(const Halide::Expr& dy, const Halide::Expr& x) const override;
};

}  // namespace emulsion
