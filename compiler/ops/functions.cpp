// Polynomials beside those of lowering.cpp. Coefficients are those of the Cephes library's
// single-precision functions (expf, erff, erfcf) and, for the cosine, of the series.
#include "compiler/ops/functions.h"

#include <cmath>
#include <initializer_list>

#include "compiler/ops/lowering.h"
#include "compiler/ops/strict.h"

namespace emulsion {

using Halide::Expr;

namespace {

// c[0] * x^n + … + c[n]
Strict series(const Strict& x, std::initializer_list<float> coefficients) {
    const float* c = coefficients.begin();
    Strict sum(*c);
    while (++c != coefficients.end()) sum = sum * x + Strict(*c);
    return sum;
}

// x^n for n >= 1, by squaring.
Strict whole_power(Strict x, int n) {
    while (n % 2 == 0) {
        x = x * x;
        n /= 2;
    }
    Strict product = x;
    while ((n /= 2) > 0) {
        x = x * x;
        if (n % 2 == 1) product = product * x;
    }
    return product;
}

constexpr float kSmallest = 1.17549435e-38F;  // the smallest normal number

}  // namespace

Expr expm1_f32(const Expr& argument) {
    constexpr float kNear = 0.34657359F;  // ln 2 / 2: within it the polynomial of e^x is used as is
    const Strict x(argument);
    const Strict p = series(x, {1.9875691500e-4F, 1.3981999507e-3F, 8.3334519073e-3F,
                                4.1665795894e-2F, 1.6666665459e-1F, 5.0000001201e-1F});
    const Strict near = p * (x * x) + x, far = Strict(exp_f32(argument)) - 1.0F;
    return choose(Strict(Halide::abs(argument)) < kNear, near, far);
}

// What 1 + x loses of x is made good by the ratio of x to what is left of it.
Expr log1p_f32(const Expr& argument) {
    const Strict x(argument), sum = x + 1.0F, left = sum - 1.0F;
    const Strict divisor = choose(left > 0.0F, left, 1.0F);
    return choose(sum > 1.0F, Strict(log_f32(sum)) * (x / divisor), x);
}

Expr power_f32(const Expr& argument, double exponent) {
    constexpr double kMost = 16;
    const Strict x(argument);
    const double size = std::abs(exponent), quarters = 4 * size;
    if (exponent == 0) return Strict(1.0F);
    if (size <= kMost && quarters == std::floor(quarters)) {
        const int whole = static_cast<int>(size), rest = static_cast<int>(quarters) % 4;
        const Strict root = square_root(x);
        Strict product(1.0F);
        if (whole > 0) product = whole_power(x, whole);
        if (rest >= 2) product = whole > 0 ? product * root : root;
        if (rest % 2 == 1) product = size < 0.5 ? square_root(root) : product * square_root(root);
        return exponent < 0 ? Strict(1.0F) / product : product;
    }
    const Strict zero = x - x;
    const Strict end = exponent > 0 ? zero : Strict(1.0F) / zero;
    const Strict power(exp_f32(Strict(log_f32(argument)) * Strict(exponent)));
    return choose(x < 0.0F, zero / zero, choose(x < kSmallest, end, power));
}

// Of z = x / sqrt 2: an odd polynomial for |z| < 1, e^(-z^2) / |z| times one of 1 / z^2 elsewhere.
NormalAt normal_f32(const Expr& argument) {
    const Strict x(argument), z = x * Strict(0.70710678118654752440);
    const Strict size(Halide::abs(Expr(z))), square = z * z;
    const Strict power(exp_f32(Strict(0.0F) - square));
    const Strict odd =
        z * series(square, {7.853861353153693E-5F, -8.010193625184903E-4F, 5.188327685732524E-3F,
                            -2.685381193529856E-2F, 1.128358514861418E-1F, -3.761262582423300E-1F,
                            1.128379165726710E+0F});
    const Strict q = Strict(1.0F) / choose(size < 1.0F, 1.0F, size), y = q * q;
    const Strict middle =
        series(y, {2.326819970068386E-2F, -1.387039388740657E-1F, 3.687424674597105E-1F,
                   -5.824733027278666E-1F, 6.210004621745983E-1F, -4.944515323274145E-1F,
                   3.404879937665872E-1F, -2.741127028184656E-1F, 5.638259427386472E-1F});
    const Strict end =
        series(y, {-1.047766399936249E+1F, 1.297719955372516E+1F, -7.495518717768503E+0F,
                   2.921019019210786E+0F, -1.015265279202700E+0F, 4.218463358204948E-1F,
                   -2.820767439740514E-1F, 5.641895067754075E-1F});
    const Strict tail = ((power * q) * choose(size < 2.0F, middle, end)) * 0.5F;
    const Strict far = choose(x < 0.0F, tail, Strict(1.0F) - tail);
    return {choose(size < 1.0F, odd * 0.5F + 0.5F, far), power * Strict(0.39894228040143267794)};
}

// sin(2 pi (1/4 - |x|))
Expr cosine_of_turns_f32(const Expr& argument) {
    const Strict y = (Strict(0.25F) - Strict(Halide::abs(argument))) * Strict(6.28318530717958648);
    const Strict square = y * y;
    const Strict p = series(square, {-2.50521084e-8F, 2.75573192e-6F, -1.98412698e-4F,
                                     8.33333333e-3F, -1.66666667e-1F});
    return (p * square) * y + y;
}

}  // namespace emulsion
