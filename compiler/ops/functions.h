// Functions that a few ops need beside those of lowering.h, in the same way: polynomials and square
// roots, rounded as written, so that every target gives the same bits; a NaN stays one.
#pragma once

#include <Halide.h>

namespace emulsion {

// e^x - 1, error below 5e-7 relative, also near 0. No overflow: the largest number above 88.7.
Halide::Expr expm1_f32(const Halide::Expr& x);

// log(1 + x) for x >= 0, error below 3e-7 relative, also near 0.
Halide::Expr log1p_f32(const Halide::Expr& x);

// x^exponent. Where the exponent is a multiple of 1/4 from -16 to 16, of products and square roots
// alone: error below 1e-6 relative, and a whole exponent takes any x. Else e^(exponent * log x):
// error below 2e-7 * (2 + |exponent * log x|) relative. 0 to a negative power is infinity, a
// negative number to a power that is not whole NaN, anything to the power 0 is 1.
Halide::Expr power_f32(const Halide::Expr& x, double exponent);

// The standard normal distribution at x: the share below it, error below 2e-7, and its density
// e^(-x^2 / 2) / sqrt(2 pi); for |x| <= 6 the relative error of both is below 4e-6.
struct NormalAt {
    Halide::Expr below, density;
};
NormalAt normal_f32(const Halide::Expr& x);

// cos(2 pi x) for -1/2 <= x <= 1/2, error below 2e-7.
Halide::Expr cosine_of_turns_f32(const Halide::Expr& x);

}  // namespace emulsion
