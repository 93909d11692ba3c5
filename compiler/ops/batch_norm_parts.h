// The pointwise parts of batch normalisation, forward, backward and for inference. Vectors are
// f32[C]; those of normalize and batch_norm_backward may also be f32[n,C], one for each sample.
//
//     batch_norm_factor(gamma, variance)              gamma / sqrt(variance + epsilon)
//     normalize(x, mean, factor, beta)                (x - mean) * factor + beta
//     batch_norm_coefficients(gamma, variance, sum, dot) -> a, b, c, dgamma
//     batch_norm_backward(dy, x, mean, a, b, c)       a * dy + b * (x - mean) + c
//     running_average(running, batch)                 (1 - momentum) * running + momentum * batch
//     scale_shift(x, scale, shift)                    x * scale + shift
//     batch_norm_fold(gamma, beta, running_mean, running_variance) -> scale, shift
//     scale_filter(w[O,...], scale[O])                each filter times its scale
#pragma once

#include "compiler/ops/lowering.h"

namespace emulsion {

class BatchNormFactor : public PointwiseOp {
  public:
    std::string_view kind() const override { return "batch_norm_factor"; }
    void fields(Fields& f) override { f.field("epsilon", epsilon); }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    double epsilon = 1e-5;

  protected:
    int arity() const override { return 2; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

class Normalize : public PointwiseOp {
  public:
    std::string_view kind() const override { return "normalize"; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;

  protected:
    int arity() const override { return 4; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

// The per-channel coefficients of batch norm's gradient, from sum = sum of dy and dot = sum of dy *
// (x - mean) over the step's samples, each of `count` positions. dgamma = dot / sqrt(variance +
// epsilon); dbeta is `sum` itself.
class BatchNormCoefficients : public PointwiseOp {
  public:
    std::string_view kind() const override { return "batch_norm_coefficients"; }
    void fields(Fields& f) override {
        f.field("epsilon", epsilon);
        f.field("count", count);
    }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    double epsilon = 1e-5;
    int64_t count = 1;

  protected:
    int arity() const override { return 4; }
    int output_count() const override { return 4; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

class BatchNormBackward : public PointwiseOp {
  public:
    std::string_view kind() const override { return "batch_norm_backward"; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;

  protected:
    int arity() const override { return 6; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

// `momentum` weighs the new value. With `unbiased` it is a variance over m = samples * count values
// and is multiplied by m / (m - 1), or by 1 where m is 1.
class RunningAverage : public PointwiseOp {
  public:
    std::string_view kind() const override { return "running_average"; }
    void fields(Fields& f) override {
        f.field("momentum", momentum);
        f.field("count", count);
        f.field("unbiased", unbiased);
    }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    double momentum = 0.1;
    int64_t count = 1;
    bool unbiased = false;

  protected:
    int arity() const override { return 2; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

class ScaleShift : public PointwiseOp {
  public:
    std::string_view kind() const override { return "scale_shift"; }
    std::vector<Value> gradient(GradientContext& context) const override;

  protected:
    int arity() const override { return 3; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

class BatchNormFold : public PointwiseOp {
  public:
    std::string_view kind() const override { return "batch_norm_fold"; }
    void fields(Fields& f) override { f.field("epsilon", epsilon); }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    double epsilon = 1e-5;

  protected:
    int arity() const override { return 4; }
    int output_count() const override { return 2; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

class ScaleFilter : public PointwiseOp {
  public:
    std::string_view kind() const override { return "scale_filter"; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;

  protected:
    int arity() const override { return 2; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

}  // namespace emulsion
