// Stochastic gradient descent. All operands but the rate have the type of the weights w.
//
//     sgd_plain(w, g, rate) -> w'              w - rate * (g + weight_decay * w)
//     sgd_update(w, g, m[, momentum], rate) -> w', m'      with d = g + weight_decay * w:
//         m' = momentum * m + d                (damped: momentum * m + (1 - momentum) * d)
//         w' = w - rate * m'                   (nesterov: w - rate * (momentum * m' + d))
//
// The rate stands outside the buffer, so a changed rate acts on the whole history at once. In the
// damped form Nesterov's step is rate * (momentum * m' + (1 - momentum) * d).
#pragma once

#include "compiler/ops/lowering.h"

namespace emulsion {

class SgdPlain : public PointwiseOp {
  public:
    std::string_view kind() const override { return "sgd_plain"; }
    void fields(Fields& f) override { f.field("weight_decay", weight_decay); }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    double weight_decay = 0;

  protected:
    int arity() const override { return 3; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

class SgdUpdate : public PointwiseOp {
  public:
    std::string_view kind() const override { return "sgd_update"; }
    void fields(Fields& f) override {
        f.field("momentum", momentum);
        f.field("nesterov", nesterov);
        f.field("damped", damped);
        f.field("weight_decay", weight_decay);
        f.field("scalars", scalars);
    }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    double momentum = 0.9;
    bool nesterov = false;
    bool damped = false;
    double weight_decay = 0;
    int64_t scalars = 1;  // 2: the momentum, in place of the attribute, and the rate

  protected:
    int arity() const override { return 3 + static_cast<int>(scalars); }
    int output_count() const override { return 2; }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

}  // namespace emulsion
