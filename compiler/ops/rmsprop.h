// RMSProp (Tieleman, Hinton 2012), centred (Graves 2013) and with momentum.
//
//     rmsprop_update(w, g, s[, a][, m][, momentum], rate) -> w', s'[, a'][, m']   with d = g +
//     weight_decay * w:
//         s' = s + (1 - rho) * (d^2 - s)
//         a' = a + (1 - rho) * (d - a)                 centered: its square is taken from s'
//         step = d / (sqrt(s' - a'^2) + epsilon)       inside: d / sqrt(s' - a'^2 + epsilon)
//         m' = momentum * m + step                     where momentum is not 0: the step is m'
//         w' = w - rate * step
//
// s' - a'^2 counts as 0 where its rounding has made it negative. All operands but the scalars have
// the type of the weights w; a is there where `centered` is true, m where `momentum` is not 0 or an
// operand.
#pragma once

#include "compiler/ops/lowering.h"

namespace emulsion {

class RmspropUpdate : public PointwiseOp {
  public:
    std::string_view kind() const override { return "rmsprop_update"; }
    void fields(Fields& f) override {
        f.field("rho", rho);
        f.field("epsilon", epsilon);
        f.field("inside", inside);
        f.field("centered", centered);
        f.field("momentum", momentum);
        f.field("weight_decay", weight_decay);
        f.field("scalars", scalars);
    }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    double rho = 0.99;
    double epsilon = 1e-8;
    bool inside = false;
    bool centered = false;
    double momentum = 0;
    double weight_decay = 0;
    int64_t scalars = 1;  // 2: the momentum, in place of the attribute, and the rate
    bool has_momentum() const { return momentum != 0 || scalars == 2; }

  protected:
    // Of the parameter's type, beside the gradient.
    int tensors() const { return 2 + (centered ? 1 : 0) + (has_momentum() ? 1 : 0); }
    int arity() const override { return tensors() + 1 + static_cast<int>(scalars); }
    int output_count() const override { return tensors(); }
    std::vector<Halide::Expr> evaluate(const LowerContext&,
                                       const std::vector<Halide::Expr>& operands,
                                       const std::vector<Halide::Expr>& at) const override;
};

}  // namespace emulsion
