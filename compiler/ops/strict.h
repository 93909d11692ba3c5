// Arithmetic that gives the same bits on every target.
//
// Halide contracts and reassociates float arithmetic as the target allows; a strict operation is
// rounded as written. `strict_float(Expr)` rewrites a whole tree, and loses what the tree shares; a
// Strict builds the strict operations one by one, so shared subexpressions stay shared. Plain and
// strict values mix: a Strict holds any Expr.
#pragma once

#include <Halide.h>

namespace emulsion {

class Strict {
  public:
    Strict(float value) : expr_(value) {}
    Strict(int value) : expr_(static_cast<float>(value)) {}
    Strict(double value) : expr_(static_cast<float>(value)) {}
    Strict(Halide::Expr expr) : expr_(std::move(expr)) {}
    operator Halide::Expr() const { return expr_; }

    friend Strict operator+(const Strict& a, const Strict& b) { return make(Op::strict_add, a, b); }
    friend Strict operator-(const Strict& a, const Strict& b) { return make(Op::strict_sub, a, b); }
    friend Strict operator*(const Strict& a, const Strict& b) { return make(Op::strict_mul, a, b); }
    friend Strict operator/(const Strict& a, const Strict& b) { return make(Op::strict_div, a, b); }
    friend Halide::Expr operator<(const Strict& a, const Strict& b) {
        return compare(Op::strict_lt, a, b);
    }
    friend Halide::Expr operator>(const Strict& a, const Strict& b) { return b < a; }
    // False for a NaN.
    friend Halide::Expr is_number(const Strict& x) { return compare(Op::strict_eq, x, x); }

  private:
    using Op = Halide::Internal::Call;
    static constexpr auto kPure = Halide::Internal::Call::PureIntrinsic;
    static Strict make(Op::IntrinsicOp op, const Strict& a, const Strict& b) {
        return Strict(Op::make(Halide::Float(32), op, {a.expr_, b.expr_}, kPure));
    }
    static Halide::Expr compare(Op::IntrinsicOp op, const Strict& a, const Strict& b) {
        return Op::make(Halide::Bool(), op, {a.expr_, b.expr_}, kPure);
    }
    Halide::Expr expr_;
};

// `condition ? a : b`.
inline Strict choose(const Halide::Expr& condition, const Strict& a, const Strict& b) {
    return Strict(Halide::select(condition, Halide::Expr(a), Halide::Expr(b)));
}

// The correctly rounded square root.
inline Strict square_root(const Strict& x) { return Strict(Halide::sqrt(Halide::Expr(x))); }

// sum + a * b, rounded twice. A product of an operand that is zero beside a map may become one that
// is left out there, which one instruction set fuses with the sum and another does not.
inline Strict plus_product(const Halide::Expr& sum, const Strict& a, const Strict& b) {
    return Strict(sum) + a * b;
}

}  // namespace emulsion
