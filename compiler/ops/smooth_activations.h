// Activations beside those of activations.h; each reads and writes its map once, forward and
// backward. All polynomials are those of lowering.h and functions.h; a NaN stays one.
//
//     elu           x where x > 0, alpha * (e^x - 1) elsewhere
//     silu          x / (1 + e^-x), also called swish
//     hard_sigmoid  min(max(x + 3, 0), 6) / 6; the derivatives at both ends are 0
//     hard_swish    x * hard_sigmoid(x)
//     softplus      log(1 + e^x)
//     gelu          x times the share of the standard normal distribution below x; with
//                   approximate=true x / (1 + e^-2u), u = sqrt(2 / pi) * (x + 0.044715 x^3), which
//                   is the form with a tanh of u
//     prelu(x, a)   x where x > 0, a * x elsewhere; a is repeated over x
//
// The backwards of elu and hard_sigmoid take dy and the result y, the others dy and x.
#pragma once

#include "compiler/ops/unary.h"

namespace emulsion {

class Elu : public UnaryOp {
  public:
    Elu() = default;
    explicit Elu(double number) : alpha(number) {}
    std::string_view kind() const override { return "elu"; }
    void fields(Fields& f) override { f.field("alpha", alpha); }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;
    double alpha = 1;  // >= 0: the sign of y is that of x

  protected:
    Halide::Expr value(const Halide::Expr& x) const override;
};

class EluBackward : public BinaryOp {
  public:
    EluBackward() = default;
    explicit EluBackward(double number) : alpha(number) {}
    std::string_view kind() const override { return "elu_backward"; }
    void fields(Fields& f) override { f.field("alpha", alpha); }
    double alpha = 1;

  protected:
    Halide::Expr value(const Halide::Expr& dy, const Halide::Expr& y) const override;
};

class Silu : public UnaryOp {
  public:
    std::string_view kind() const override { return "silu"; }
    std::vector<Value> gradient(GradientContext& context) const override;

  protected:
    Halide::Expr value(const Halide::Expr& x) const override;
};

class SiluBackward : public BinaryOp {
  public:
    std::string_view kind() const override { return "silu_backward"; }

  protected:
    Halide::Expr value(const Halide::Expr& dy, const Halide::Expr& x) const override;
};

class HardSigmoid : public UnaryOp {
  public:
    std::string_view kind() const override { return "hard_sigmoid"; }
    bool is_monotone(std::span<const TensorType>) const override { return true; }
    std::vector<Value> gradient(GradientContext& context) const override;

  protected:
    Halide::Expr value(const Halide::Expr& x) const override;
};

class HardSigmoidBackward : public BinaryOp {
  public:
    std::string_view kind() const override { return "hard_sigmoid_backward"; }

  protected:
    Halide::Expr value(const Halide::Expr& dy, const Halide::Expr& y) const override;
};

class HardSwish : public UnaryOp {
  public:
    std::string_view kind() const override { return "hard_swish"; }
    std::vector<Value> gradient(GradientContext& context) const override;

  protected:
    Halide::Expr value(const Halide::Expr& x) const override;
};

class HardSwishBackward : public BinaryOp {
  public:
    std::string_view kind() const override { return "hard_swish_backward"; }

  protected:
    Halide::Expr value(const Halide::Expr& dy, const Halide::Expr& x) const override;
};

// Its gradient is dy * sigmoid(x).
class Softplus : public UnaryOp {
  public:
    std::string_view kind() const override { return "softplus"; }
    std::vector<Value> gradient(GradientContext& context) const override;

  protected:
    Halide::Expr value(const Halide::Expr& x) const override;
};

class Gelu : public UnaryOp {
  public:
    Gelu() = default;
    explicit Gelu(bool with_tanh) : approximate(with_tanh) {}
    std::string_view kind() const override { return "gelu"; }
    void fields(Fields& f) override { f.field("approximate", approximate); }
    std::vector<Value> gradient(GradientContext& context) const override;
    bool approximate = false;

  protected:
    Halide::Expr value(const Halide::Expr& x) const override;
};

class GeluBackward : public BinaryOp {
  public:
    GeluBackward() = default;
    explicit GeluBackward(bool with_tanh) : approximate(with_tanh) {}
    std::string_view kind() const override { return "gelu_backward"; }
    void fields(Fields& f) override { f.field("approximate", approximate); }
    bool approximate = false;

  protected:
    Halide::Expr value(const Halide::Expr& dy, const Halide::Expr& x) const override;
};

class Prelu : public BinaryOp {
  public:
    std::string_view kind() const override { return "prelu"; }
    std::vector<Value> gradient(GradientContext& context) const override;

  protected:
    Halide::Expr value(const Halide::Expr& x, const Halide::Expr& slope) const override;
};

// (dy, x, slope) -> dx
class PreluBackward : public PointwiseOp {
  public:
    std::string_view kind() const override { return "prelu_backward"; }

  protected:
    int arity() const override { return 3; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

// (dy, x) -> the part of each value in the slope's gradient: dy * min(x, 0)
class PreluSlopeBackward : public BinaryOp {
  public:
    std::string_view kind() const override { return "prelu_slope_backward"; }

  protected:
    Halide::Expr value(const Halide::Expr& dy, const Halide::Expr& x) const override;
};

}  // namespace emulsion
