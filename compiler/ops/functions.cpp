// Polynomials beside those of lowering.cpp. Coefficients are those of the Cephes library's
// single-precision function expf, a minimax fit for the normal distribution and, for the cosine, of
// the series.
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

// With a = |x|, the share beyond it is e^(-a^2 / 2) times a ratio of polynomials, to 3e-8 relative
// for a <= 6 and 3e-6 for all others. From 16 on it is 0.
NormalAt normal_f32(const Expr& argument) {
    constexpr float kMost = 16.0F;
    const Strict x(argument), size(Halide::abs(argument));
    const Strict a = choose(size > kMost, kMost, size);
    const Strict power(exp_f32((a * a) * -0.5F));
    const Strict numerator =
        series(a, {6.28606983e-7F, 1.21841971e-2F, 9.74924713e-2F, 3.20122719e-1F, 0.5F});
    const Strict denominator =
        series(a, {3.06018889e-2F, 2.43383422e-1F, 8.42462659e-1F, 1.43812823F, 1.0F});
    const Strict beyond = power * (numerator / denominator);
    return {choose(x > 0.0F, Strict(1.0F) - beyond, beyond),
            power * Strict(0.39894228040143267794)};
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
