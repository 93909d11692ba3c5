// What an op's `lower` receives, and helpers shared by the lowerings. Includes Halide: only op
// sources, recipes and codegen include this.
#pragma once

#include <Halide.h>

#include <span>
#include <string>
#include <vector>

#include "compiler/graph/op.h"

namespace emulsion {

struct LowerContext {
    std::string name;  // prefix of Func names: NAME__part; no dots
    std::vector<TensorType> inputs;
    std::vector<TensorType> outputs;
    Halide::Expr samples;  // int32: extent of n
};

// Fresh Vars for the coordinates of a tensor in memory order, innermost first: c x y n, f n, k,
// (lane, i, k); as many as its rank asks for.
std::vector<Halide::Var> coordinates(const TensorType& type);
std::vector<Halide::Expr> as_exprs(const std::vector<Halide::Var>& vars);

Halide::Type halide_type(ElementType element);

// Whether `from` can be repeated over `to`: the same type, one with an extent of 1 on some axes, a
// vector with one value per channel (C), or a scalar, each with samples or, under a `to` that has
// them, without.
bool is_broadcastable(const TensorType& from, const TensorType& to);

// The value of `input` (of type `from`) that belongs to position `at` of a tensor of type `to`.
// REQUIRES: is_broadcastable(from, to).
Halide::Expr read_broadcast(const Halide::Func& input, const TensorType& from, const TensorType& to,
                            const std::vector<Halide::Expr>& at);

// True where memory coordinates `at` of a plain tensor hold a value and not padding: k < O.
Halide::Expr is_value(const TensorType& type, const std::vector<Halide::Expr>& at);

// Logical index of a plain tensor's first axis from its memory coordinates: k, or block * 16 +
// lane.
Halide::Expr first_axis(const TensorType& type, const std::vector<Halide::Expr>& at);

// Number of samples as float.
inline Halide::Expr samples_f32(const LowerContext& context) {
    return Halide::cast<float>(context.samples);
}

// Base of elementwise ops: subclasses state the value at one position; shapes, broadcasting and
// lowering are here. The output has the shape of the largest operand, and on each axis the larger
// extent; every operand is_broadcastable to it. Example: f32[n,32,7,7] with f32[32], f32[n,32,1,1],
// f32[n,1,7,7], f32[n] or f32[].
class PointwiseOp : public Op {
  public:
    OpClass op_class() const override { return OpClass::pointwise; }
    std::vector<TensorType> infer(std::span<const TensorType> inputs) const override;
    std::vector<Halide::Func> lower(const LowerContext& context,
                                    const std::vector<Halide::Func>& inputs) const override;

  protected:
    virtual int arity() const = 0;
    virtual int output_count() const { return 1; }
    // Values of all outputs at memory coordinates `at` from the operands' values there.
    virtual std::vector<Halide::Expr> evaluate(const LowerContext& context,
                                               const std::vector<Halide::Expr>& operands,
                                               const std::vector<Halide::Expr>& at) const = 0;
};

// e^x, log x, tanh x and 1 / (1 + e^-x) as polynomials that give the same bits on every target
// (wrapped in strict_float); error below 2e-7 relative (tanh, logistic: absolute), no overflow for
// finite x.
Halide::Expr exp_f32(Halide::Expr x);
Halide::Expr log_f32(Halide::Expr x);
Halide::Expr tanh_f32(Halide::Expr x);
Halide::Expr logistic_f32(Halide::Expr x);

}  // namespace emulsion
