// The elementary functions: accuracy over their range, and the same bits on every instruction set.
#include "compiler/ops/lowering.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "compiler/ops/strict.h"

namespace emulsion::test {
namespace {

using Halide::Buffer;
using Halide::Expr;
using Function = Expr (*)(Expr);

constexpr int kCount = 1 << 16;

Halide::Target with_features(const std::string& features) {
    return Halide::Target("x86-64-linux-jit" + features);
}

// Targets that this machine runs: the baseline first.
std::vector<Halide::Target> targets() {
    std::vector<Halide::Target> result = {with_features("")};
    const Halide::Target host = Halide::get_host_target();
    if (host.has_feature(Halide::Target::AVX2))
        result.push_back(with_features("-sse41-avx-avx2-fma-f16c"));
    if (host.has_feature(Halide::Target::AVX512_Skylake)) {
        result.push_back(with_features("-sse41-avx-avx2-fma-f16c-avx512-avx512_skylake"));
    }
    return result;
}

Buffer<float> apply(const std::function<Expr(Expr)>& function, Buffer<float> x,
                    const Halide::Target& target) {
    Halide::Var i("i");
    Halide::Func f("f");
    f(i) = function(x(i));
    f.vectorize(i, 16, Halide::TailStrategy::GuardWithIf);
    return f.realize({x.width()}, target);
}

Buffer<float> range(double first, double last) {
    Buffer<float> x(kCount);
    for (int i = 0; i < kCount; i++)
        x(i) = static_cast<float>(first + (last - first) * i / (kCount - 1));
    return x;
}

bool same_bits(const Buffer<float>& a, const Buffer<float>& b) {
    return std::memcmp(a.data(), b.data(), a.size_in_bytes()) == 0;
}

void check(Function function, double (*expected)(double), const Buffer<float>& x, bool relative) {
    const std::vector<Halide::Target> all = targets();
    const Buffer<float> y = apply(function, x, all[0]);
    double worst = 0;
    for (int i = 0; i < x.width(); i++) {
        const double right = expected(x(i));
        const double error =
            std::abs(y(i) - right) / (relative ? std::max(std::abs(right), 1e-37) : 1);
        ASSERT_FALSE(std::isnan(error)) << x(i);
        worst = std::max(worst, error);
    }
    EXPECT_LT(worst, 2e-7);
    for (const Halide::Target& target : all) {
        EXPECT_TRUE(same_bits(apply(function, x, target), y)) << target.to_string();
    }
}

double logistic(double x) { return 1 / (1 + std::exp(-x)); }

TEST(Elementary, Exponential) {
    check(exp_f32, std::exp, range(-87.3, 88.7), /*relative=*/true);
    check(exp_f32, std::exp, range(-1, 1), /*relative=*/true);
}

TEST(Elementary, Logarithm) {
    check(log_f32, std::log, range(0.3, 3), /*relative=*/true);
    Buffer<float> x = range(-87, 88);
    for (int i = 0; i < kCount; i++) x(i) = std::exp(x(i));
    check(log_f32, std::log, x, /*relative=*/true);
}

TEST(Elementary, HyperbolicTangent) {
    check(tanh_f32, std::tanh, range(-12, 12), /*relative=*/false);
    check(tanh_f32, std::tanh, range(-1, 1), /*relative=*/false);
}

TEST(Elementary, Logistic) { check(logistic_f32, logistic, range(-100, 100), /*relative=*/false); }

TEST(Elementary, EndsAreFinite) {
    constexpr float kHuge = std::numeric_limits<float>::max();
    Buffer<float> x(4);
    x(0) = -kHuge, x(1) = -100, x(2) = 100, x(3) = kHuge;
    for (const Halide::Target& target : targets()) {
        const Buffer<float> y = apply(exp_f32, x, target);
        EXPECT_EQ(y(0), 0);
        EXPECT_EQ(y(1), 0);
        EXPECT_TRUE(std::isfinite(y(2)) && y(2) > 3e38F);
        EXPECT_TRUE(std::isfinite(y(3)));
        EXPECT_TRUE(std::isfinite(apply(log_f32, x, target)(3)));
    }
}

TEST(Elementary, LogarithmKeepsWhatIsNoNumber) {
    Buffer<float> x(3);
    x(0) = std::numeric_limits<float>::quiet_NaN(), x(1) = std::numeric_limits<float>::infinity(),
    x(2) = 0;
    const Buffer<float> y = apply(log_f32, x, targets()[0]);
    EXPECT_TRUE(std::isnan(y(0)));
    EXPECT_TRUE(std::isinf(y(1)));
    EXPECT_LT(y(2), -87);
}

// Also one whose low bits are set, which lie where exponents of 2 are computed.
TEST(Elementary, HandsOnWhatIsNoNumber) {
    Buffer<float> x(3);
    const std::uint32_t marked = 0x7fc001ff;
    x(0) = std::numeric_limits<float>::quiet_NaN(), x(1) = -x(0);
    std::memcpy(&x(2), &marked, sizeof marked);
    for (const Halide::Target& target : targets()) {
        for (Function function : {exp_f32, tanh_f32, logistic_f32}) {
            const Buffer<float> y = apply(function, x, target);
            for (int i = 0; i < x.width(); i++) EXPECT_TRUE(std::isnan(y(i))) << i;
        }
    }
}

TEST(Elementary, EndsOfWhatIsBounded) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    Buffer<float> x(6);
    x(0) = -kInfinity, x(1) = kInfinity, x(2) = 1e-40F, x(3) = -1e-40F, x(4) = 0, x(5) = 0.5F;
    for (const Halide::Target& target : targets()) {
        const Buffer<float> power = apply(exp_f32, x, target), tangent = apply(tanh_f32, x, target);
        EXPECT_EQ(power(0), 0);
        EXPECT_GT(power(1), 3e38F);
        for (int i = 2; i < 5; i++) EXPECT_EQ(power(i), 1);
        EXPECT_EQ(tangent(0), -1);
        EXPECT_EQ(tangent(1), 1);
        for (int i = 2; i < 5; i++) EXPECT_EQ(tangent(i), x(i));
        EXPECT_NEAR(tangent(5), std::tanh(0.5), 2e-7);
    }
    const Buffer<float> far = apply(tanh_f32, range(4, 20), targets()[0]);
    for (int i = 0; i < kCount; i++) ASSERT_LE(far(i), 1) << i;
}

// A product and a sum that the targets with fused multiply-add would contract, quotients and roots.
TEST(Strict, GivesTheSameBitsEverywhere) {
    const auto function = [](const Expr& value) -> Expr {
        const Strict x(value);
        return (x * x + Strict(0.1F)) / square_root(x * Strict(1.7F) + x) - x * x * x;
    };
    const Buffer<float> x = range(0.01, 5);
    const std::vector<Halide::Target> all = targets();
    for (const Halide::Target& target : all) {
        EXPECT_TRUE(same_bits(apply(function, x, target), apply(function, x, all[0])))
            << target.to_string();
    }
    const auto contracted = [](const Expr& v) -> Expr { return v * v + 0.1F; };
    if (all.size() > 1) {
        EXPECT_FALSE(same_bits(apply(contracted, x, all[1]), apply(contracted, x, all[0])));
    }
}

}  // namespace
}  // namespace emulsion::test
