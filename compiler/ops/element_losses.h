// Losses of single elements, of a prediction x and its target t, both of one type; the mean over
// elements and samples is a reduction behind them.
//
//     absolute_error        |x - t|
//     huber {delta}         d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2), with d = x -
//     t binary_cross_entropy {positive_weight}
//                           (1 - t) log(1 + e^x) + positive_weight t log(1 + e^-x): x is a logit,
//                           however large
//     hinge                 max(0, 1 - t x), the targets being -1 and 1
//
// KIND_backward(x, t, dloss) -> dx, and with of_target=true -> dt.
#pragma once

#include "compiler/ops/lowering.h"

namespace emulsion {

class ElementLoss : public PointwiseOp {
  public:
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Value> gradient(GradientContext& context) const override;

  protected:
    int arity() const override { return 2; }
    // Throws where an attribute is out of range.
    virtual void check() const {}
    virtual std::shared_ptr<const Op> backward(bool of_target) const = 0;
};

class ElementLossBackward : public PointwiseOp {
  public:
    void fields(Fields& f) override { f.field("of_target", of_target); }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    bool of_target = false;

  protected:
    int arity() const override { return 3; }
};

class AbsoluteError : public ElementLoss {
  public:
    std::string_view kind() const override { return "absolute_error"; }

  protected:
    std::shared_ptr<const Op> backward(bool of_target) const override;
    std::vector<Halide::Expr> evaluate(const LowerContext&, const std::vector<Halide::Expr>&,
                                       const std::vector<Halide::Expr>&) const override;
};

class AbsoluteErrorBackward : public ElementLossBackward {
  public:
    std::string_view kind() const override { return "absolute_error_backward"; }

  protected:
    std::vector<Halide::Expr> evaluate(const LowerContext&, const std::vector<Halide::Expr>&,
                                       const std::vector<Halide::Expr>&) const override;
};

class Huber : public ElementLoss {
  public:
    std::string_view kind() const override { return "huber"; }
    void fields(Fields& f) override { f.field("delta", delta); }
    double delta = 1;

  protected:
    void check() const override;
    std::shared_ptr<const Op> backward(bool of_target) const override;
    std::vector<Halide::Expr> evaluate(const LowerContext&, const std::vector<Halide::Expr>&,
                                       const std::vector<Halide::Expr>&) const override;
};

class HuberBackward : public ElementLossBackward {
  public:
    std::string_view kind() const override { return "huber_backward"; }
    void fields(Fields& f) override {
        f.field("delta", delta);
        ElementLossBackward::fields(f);
    }
    double delta = 1;

  protected:
    std::vector<Halide::Expr> evaluate(const LowerContext&, const std::vector<Halide::Expr>&,
                                       const std::vector<Halide::Expr>&) const override;
};

class BinaryCrossEntropy : public ElementLoss {
  public:
    std::string_view kind() const override { return "binary_cross_entropy"; }
    void fields(Fields& f) override { f.field("positive_weight", positive_weight); }
    double positive_weight = 1;

  protected:
    void check() const override;
    std::shared_ptr<const Op> backward(bool of_target) const override;
    std::vector<Halide::Expr> evaluate(const LowerContext&, const std::vector<Halide::Expr>&,
                                       const std::vector<Halide::Expr>&) const override;
};

class BinaryCrossEntropyBackward : public ElementLossBackward {
  public:
    std::string_view kind() const override { return "binary_cross_entropy_backward"; }
    void fields(Fields& f) override {
        f.field("positive_weight", positive_weight);
        ElementLossBackward::fields(f);
    }
    double positive_weight = 1;

  protected:
    std::vector<Halide::Expr> evaluate(const LowerContext&, const std::vector<Halide::Expr>&,
                                       const std::vector<Halide::Expr>&) const override;
};

class Hinge : public ElementLoss {
  public:
    std::string_view kind() const override { return "hinge"; }

  protected:
    std::shared_ptr<const Op> backward(bool of_target) const override;
    std::vector<Halide::Expr> evaluate(const LowerContext&, const std::vector<Halide::Expr>&,
                                       const std::vector<Halide::Expr>&) const override;
};

class HingeBackward : public ElementLossBackward {
  public:
    std::string_view kind() const override { return "hinge_backward"; }

  protected:
    std::vector<Halide::Expr> evaluate(const LowerContext&, const std::vector<Halide::Expr>&,
                                       const std::vector<Halide::Expr>&) const override;
};

}  // namespace emulsion
