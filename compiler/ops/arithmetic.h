// Elementwise arithmetic: add, subtract, multiply, divide, negate, and scale and shift by a
// constant. A NaN or an infinity is what IEEE 754 makes of it.
//
// Operands broadcast as PointwiseOp says: f32[n,32,28,28] + f32[32] adds one value to each channel.
#pragma once

#include "compiler/ops/lowering.h"

namespace emulsion {

// a + b
class Add : public PointwiseOp {
  public:
    std::string_view kind() const override { return "add"; }
    // Where b is the same all over a channel.
    bool is_monotone(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;

  protected:
    int arity() const override { return 2; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

// a - b
class Subtract : public PointwiseOp {
  public:
    std::string_view kind() const override { return "subtract"; }
    std::vector<Value> gradient(GradientContext& context) const override;

  protected:
    int arity() const override { return 2; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

// a * b
class Multiply : public PointwiseOp {
  public:
    std::string_view kind() const override { return "multiply"; }
    std::vector<Value> gradient(GradientContext& context) const override;

  protected:
    int arity() const override { return 2; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

// a / b, correctly rounded
class Divide : public PointwiseOp {
  public:
    std::string_view kind() const override { return "divide"; }
    std::vector<Value> gradient(GradientContext& context) const override;

  protected:
    int arity() const override { return 2; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

// -x
class Negate : public PointwiseOp {
  public:
    std::string_view kind() const override { return "negate"; }
    std::vector<Value> gradient(GradientContext& context) const override;

  protected:
    int arity() const override { return 1; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

// factor * x
class Scale : public PointwiseOp {
  public:
    Scale() = default;
    explicit Scale(double value) : factor(value) {}
    std::string_view kind() const override { return "scale"; }
    void fields(Fields& f) override { f.field("factor", factor); }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    double factor = 1;

  protected:
    int arity() const override { return 1; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

// x + term
class Shift : public PointwiseOp {
  public:
    Shift() = default;
    explicit Shift(double value) : term(value) {}
    std::string_view kind() const override { return "shift"; }
    void fields(Fields& f) override { f.field("term", term); }
    bool is_monotone(std::span<const TensorType>) const override { return true; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    double term = 0;

  protected:
    int arity() const override { return 1; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

}  // namespace emulsion
