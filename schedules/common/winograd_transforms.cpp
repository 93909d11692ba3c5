// Factored forms of the small matrix products.
#include "schedules/common/winograd_transforms.h"

namespace emulsion {

using Halide::Expr;

namespace {

Strict s(const Expr& e) { return Strict(e); }

}  // namespace

std::vector<Expr> input_transform(const std::vector<Expr>& d) {
    if (d.size() == 4)
        return {s(d[0]) - s(d[2]), s(d[1]) + s(d[2]), s(d[2]) - s(d[1]), s(d[3]) - s(d[1])};
    const Strict a = s(d[4]) - s(4.0F) * s(d[2]), b = s(d[3]) - s(4.0F) * s(d[1]);
    const Strict c = s(d[4]) - s(d[2]), e = s(2.0F) * (s(d[3]) - s(d[1]));
    return {s(4.0F) * s(d[0]) - s(5.0F) * s(d[2]) + s(d[4]), a + b, a - b, c + e, c - e,
            s(4.0F) * s(d[1]) - s(5.0F) * s(d[3]) + s(d[5])};
}

std::vector<Expr> output_transform(const std::vector<Expr>& d, int tile) {
    const Strict s1 = s(d[1]) + s(d[2]), d1 = s(d[1]) - s(d[2]);
    if (d.size() == 4) return {s(d[0]) + s1, d1 + s(d[3])};
    const Strict s2 = s(d[3]) + s(d[4]), d2 = s(d[3]) - s(d[4]);
    const Strict first = s(d[0]) + s1 + s2;
    if (tile == 2) return {first, d1 + s(2.0F) * d2 + s(d[5])};
    return {first, d1 + s(2.0F) * d2, s1 + s(4.0F) * s2, d1 + s(8.0F) * d2 + s(d[5])};
}

std::vector<Expr> gradient_transform(const std::vector<Expr>& d, int points) {
    if (points == 4) return {d[0], s(d[0]) + s(d[1]), s(d[0]) - s(d[1]), d[1]};
    if (d.size() == 2) {
        const Strict twice = s(2.0F) * s(d[1]);
        return {d[0], s(d[0]) + s(d[1]), s(d[0]) - s(d[1]), s(d[0]) + twice, s(d[0]) - twice, d[1]};
    }
    const Strict even = s(d[0]) + s(d[2]), odd = s(d[1]) + s(d[3]);
    const Strict even2 = s(d[0]) + s(4.0F) * s(d[2]);
    const Strict odd2 = s(2.0F) * s(d[1]) + s(8.0F) * s(d[3]);
    return {d[0], even + odd, even - odd, even2 + odd2, even2 - odd2, d[3]};
}

Expr combine(const std::vector<double>& factors, const std::vector<Expr>& values) {
    Expr sum;
    for (size_t j = 0; j < values.size(); j++) {
        if (factors[j] == 0) continue;
        const Strict term = s(static_cast<float>(factors[j])) * s(values[j]);
        sum = sum.defined() ? Expr(s(sum) + term) : Expr(term);
    }
    return sum;
}

}  // namespace emulsion
