// Activations and their backwards. A backward takes dy and the forward *result* y, so the input
// need not be kept.
//
//     relu        max(x, 0); the derivative at 0 is 0
//     relu6       min(max(x, 0), 6); the derivatives at 0 and at 6 are 0
//     leaky_relu  x where x > 0, slope * x elsewhere
//     tanh        polynomial, see lowering.h
//     sigmoid     1 / (1 + e^-x)
#pragma once

#include "compiler/ops/lowering.h"

namespace emulsion {

class Relu : public PointwiseOp {
  public:
    std::string_view kind() const override { return "relu"; }
    bool is_monotone(std::span<const TensorType>) const override { return true; }
    std::vector<Value> gradient(GradientContext& context) const override;

  protected:
    int arity() const override { return 1; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

class Relu6 : public PointwiseOp {
  public:
    std::string_view kind() const override { return "relu6"; }
    bool is_monotone(std::span<const TensorType>) const override { return true; }
    std::vector<Value> gradient(GradientContext& context) const override;

  protected:
    int arity() const override { return 1; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

class LeakyRelu : public PointwiseOp {
  public:
    LeakyRelu() = default;
    explicit LeakyRelu(double value) : slope(value) {}
    std::string_view kind() const override { return "leaky_relu"; }
    bool is_monotone(std::span<const TensorType>) const override { return true; }
    void fields(Fields& f) override { f.field("slope", slope); }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    double slope = 0.01;  // >= 0: the sign of y is that of x

  protected:
    int arity() const override { return 1; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

class Tanh : public PointwiseOp {
  public:
    std::string_view kind() const override { return "tanh"; }
    std::vector<Value> gradient(GradientContext& context) const override;

  protected:
    int arity() const override { return 1; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

class Sigmoid : public PointwiseOp {
  public:
    std::string_view kind() const override { return "sigmoid"; }
    std::vector<Value> gradient(GradientContext& context) const override;

  protected:
    int arity() const override { return 1; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

// Backwards: (dy, y) -> dx

class ReluBackward : public PointwiseOp {
  public:
    std::string_view kind() const override { return "relu_backward"; }

  protected:
    int arity() const override { return 2; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

class Relu6Backward : public PointwiseOp {
  public:
    std::string_view kind() const override { return "relu6_backward"; }

  protected:
    int arity() const override { return 2; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

class LeakyReluBackward : public PointwiseOp {
  public:
    LeakyReluBackward() = default;
    explicit LeakyReluBackward(double value) : slope(value) {}
    std::string_view kind() const override { return "leaky_relu_backward"; }
    void fields(Fields& f) override { f.field("slope", slope); }
    double slope = 0.01;

  protected:
    int arity() const override { return 2; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

class TanhBackward : public PointwiseOp {
  public:
    std::string_view kind() const override { return "tanh_backward"; }

  protected:
    int arity() const override { return 2; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

class SigmoidBackward : public PointwiseOp {
  public:
    std::string_view kind() const override { return "sigmoid_backward"; }

  protected:
    int arity() const override { return 2; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

}  // namespace emulsion
