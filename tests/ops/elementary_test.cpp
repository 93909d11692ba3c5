// Elementary functions, extremes and the activations made of them: values at the ends and near 0,
// gradients, what a NaN becomes, and what is refused.
#include "compiler/ops/elementary.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "compiler/ops/arithmetic.h"
#include "compiler/ops/channel_sum.h"
#include "compiler/ops/extremes.h"
#include "compiler/ops/smooth_activations.h"
#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

using reference::make_tensor;
using Values = std::vector<double>;

const double kNan = std::numeric_limits<double>::quiet_NaN();
const double kInfinity = std::numeric_limits<double>::infinity();

Values run_unary(const Op& op, Values x) {
    const TensorType type = batched_type({static_cast<int64_t>(x.size())});
    return run_op(op, {make_tensor(type, 1, std::move(x))}, 1)[0].values;
}

Values run_binary(const Op& op, Values a, Values b) {
    const TensorType type = batched_type({static_cast<int64_t>(a.size())});
    return run_op(op, {make_tensor(type, 1, std::move(a)), make_tensor(type, 1, std::move(b))},
                  1)[0]
        .values;
}

// The largest error relative to the right value, over 1,001 arguments from `first` to `last`.
double relative_error(const Op& op, double first, double last,
                      const std::function<double(double)>& right) {
    Values x;
    for (int i = 0; i <= 1000; i++) {
        const double value = first + (last - first) * i / 1000;
        x.push_back(static_cast<double>(static_cast<float>(value)));
    }
    const Values y = run_unary(op, x);
    double worst = 0;
    for (size_t i = 0; i < x.size(); i++) {
        const double expected = right(x[i]);
        if (expected != 0) worst = std::max(worst, std::abs(y[i] - expected) / std::abs(expected));
    }
    return worst;
}

const TensorType kMap = batched_type({5, 3, 4});

TEST(Elementary, AgreesWithTheReferenceAndItsGradient) {
    check_op(std::make_shared<Exp>(), {{kMap}, {}});
    check_op(std::make_shared<Exp>(), {{plain_type({5, 3})}, {}});
    check_op(std::make_shared<Log>(), {{kMap}, {Fill::positive}});
    check_op(std::make_shared<Sqrt>(), {{kMap}, {Fill::positive}});
    check_op(std::make_shared<Abs>(), {{kMap}, {Fill::off_zero}});
    check_op(std::make_shared<Reciprocal>(-2.5), {{kMap}, {Fill::positive}});
    for (double exponent : {2.0, -1.0, -0.25, 1.75, -0.7, 1.0, 0.0})
        check_op(std::make_shared<Power>(exponent), {{kMap}, {Fill::positive}});
    check_op(std::make_shared<Power>(3), {{kMap}, {Fill::off_zero}});
    check_lowering(AbsBackward(), {{kMap, kMap}, {}});
}

TEST(Elementary, KeepsItsDigits) {
    const auto log = [](double x) { return std::log(x); };
    EXPECT_LT(relative_error(Exp(), -80, 88, [](double x) { return std::exp(x); }), 2e-7);
    EXPECT_LT(relative_error(Log(), 1.5, 1e30, log), 2e-7);
    EXPECT_LT(relative_error(Log(), 1e-30, 0.5, log), 2e-7);
    for (double exponent : {16.0, -3.75, 0.5, 2.25}) {
        EXPECT_LT(relative_error(Power(exponent), 0.01, 50,
                                 [&](double x) { return std::pow(x, exponent); }),
                  1e-6)
            << exponent;
    }
    EXPECT_LT(relative_error(Power(0.7), 0.01, 50, [](double x) { return std::pow(x, 0.7); }),
              2e-6);
}

TEST(Elementary, EndsAsStated) {
    EXPECT_EQ(run_unary(Exp(), {-100, 0}), (Values{0, 1}));
    EXPECT_GT(run_unary(Exp(), {1000})[0], 3.4e38);
    EXPECT_EQ(run_unary(Log(), {0, 1}), (Values{-kInfinity, 0}));
    EXPECT_TRUE(std::isnan(run_unary(Log(), {-1})[0]));
    EXPECT_EQ(run_unary(Sqrt(), {0, 2.25}), (Values{0, 1.5}));
    EXPECT_TRUE(std::isnan(run_unary(Sqrt(), {-1})[0]));
    EXPECT_EQ(run_unary(Power(0.3), {0, 1}), (Values{0, 1}));
    EXPECT_EQ(run_unary(Power(-0.3), {0})[0], kInfinity);
    EXPECT_TRUE(std::isnan(run_unary(Power(0.3), {-2})[0]));
    EXPECT_EQ(run_unary(Power(2), {-3, 0}), (Values{9, 0}));
    EXPECT_EQ(run_unary(Power(-1), {-4}), (Values{-0.25}));
    EXPECT_EQ(run_unary(Power(0), {-4, 0}), (Values{1, 1}));
    EXPECT_EQ(run_unary(Reciprocal(3), {-4}), (Values{-0.75}));
    EXPECT_EQ(run_binary(AbsBackward(), {3, 3, 3}, {-1, 0, 2}), (Values{-3, 0, 3}));
}

TEST(Divide, AgreesWithTheReferenceAndItsGradient) {
    const std::vector<Fill> fills = {Fill::normal, Fill::positive};
    for (const TensorType& small : {kMap, plain_type({5}), batched_type({1, 3, 4})})
        check_op(std::make_shared<Divide>(), {{kMap, small}, fills});
    check_op(std::make_shared<Divide>(), {{plain_type({5}), kMap}, fills});
    check_op(std::make_shared<Shift>(-1.5), {{kMap}, {}});
    EXPECT_EQ(run_binary(Divide(), {1, -1, 3}, {0, 0, 4}), (Values{kInfinity, -kInfinity, 0.75}));
}

TEST(Extremes, AgreeWithTheReferenceAndTheirGradients) {
    for (const TensorType& small : {kMap, plain_type({5})}) {
        check_op(std::make_shared<Maximum>(), {{kMap, small}, {}});
        check_op(std::make_shared<Minimum>(), {{kMap, small}, {}});
    }
    check_op(std::make_shared<Clip>(-0.5, 0.75), {{kMap}, {}});
    check_lowering(MaximumBackward(), {{kMap, kMap, kMap}, {}});
    check_lowering(ClipBackward(-0.5, 0.5), {{kMap, kMap}, {}});
}

TEST(Extremes, ShareTheGradientWhereBothAreEqual) {
    const TensorType type = batched_type({3});
    const auto part = [&](Values a, Values b) {
        return run_op(MaximumBackward(),
                      {make_tensor(type, 1, {4, 4, 4}), make_tensor(type, 1, std::move(a)),
                       make_tensor(type, 1, std::move(b))},
                      1)[0]
            .values;
    };
    EXPECT_EQ(part({1, 2, 3}, {2, 2, 2}), (Values{0, 2, 4}));
    EXPECT_EQ(run_unary(Clip(-1, 2), {-3, -1, 0.5, 2, 9}), (Values{-1, -1, 0.5, 2, 2}));
    EXPECT_EQ(run_binary(ClipBackward(-1, 2), {3, 3, 3}, {-1, 0.5, 2}), (Values{0, 3, 0}));
}

TEST(SmoothActivations, AgreeWithTheReferenceAndTheirGradients) {
    check_op(std::make_shared<Silu>(), {{kMap}, {}});
    check_op(std::make_shared<HardSigmoid>(), {{kMap}, {}});
    check_op(std::make_shared<HardSwish>(), {{kMap}, {}});
    check_op(std::make_shared<Softplus>(), {{kMap}, {}});
    check_op(std::make_shared<Gelu>(), {{batched_type({17})}, {}});
    check_op(std::make_shared<Gelu>(true), {{kMap}, {}});
    check_op(std::make_shared<Elu>(0.5), {{kMap}, {Fill::off_zero}});
    for (const TensorType& slope : {plain_type({5}), plain_type({})})
        check_op(std::make_shared<Prelu>(), {{kMap, slope}, {Fill::off_zero}});
    const OpCase pair{{kMap, kMap}, {}};
    check_lowering(EluBackward(0.5), pair);
    check_lowering(SiluBackward(), pair);
    check_lowering(HardSigmoidBackward(), pair);
    check_lowering(HardSwishBackward(), pair);
    check_lowering(GeluBackward(), pair);
    check_lowering(PreluSlopeBackward(), pair);
}

TEST(SmoothActivations, KeepTheirDigits) {
    const auto share = [](double x) { return std::erfc(-x / std::sqrt(2)) / 2; };
    EXPECT_LT(relative_error(Elu(), -20, -1e-6, [](double x) { return std::expm1(x); }), 5e-7);
    EXPECT_LT(relative_error(
                  Softplus(), -60, 30,
                  [](double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }),
              1e-6);
    EXPECT_LT(relative_error(Gelu(), -6, 6, [&](double x) { return x * share(x); }), 4e-6);
    EXPECT_LT(relative_error(Silu(), -60, 60, [](double x) { return x / (1 + std::exp(-x)); }),
              1e-6);
}

TEST(SmoothActivations, StayFiniteAtTheEnds) {
    const double huge = 0x1p100;
    EXPECT_EQ(run_unary(Elu(), {-huge, huge}), (Values{-1, huge}));
    EXPECT_EQ(run_unary(HardSigmoid(), {-huge, -3, 0, 3, huge}), (Values{0, 0, 0.5, 1, 1}));
    EXPECT_EQ(run_unary(HardSwish(), {-200, -3, 0, 3, 200}), (Values{0, 0, 0, 3, 200}));
    EXPECT_EQ(run_unary(Softplus(), {-huge, huge}), (Values{0, huge}));
    for (bool approximate : {false, true}) {
        expect_near(run_unary(Gelu(approximate), {-200, 0, 200}), {0, 0, 200}, 1e-30);
        expect_near(run_binary(GeluBackward(approximate), {2, 2}, {-200, 200}), {0, 2}, 1e-30);
    }
    EXPECT_EQ(run_unary(Gelu(), {-huge, huge}), (Values{0, huge}));
    expect_near(run_unary(Silu(), {-200, 0, 200}), {0, 0, 200}, 1e-30);
    expect_near(run_binary(SiluBackward(), {2, 2, 2}, {-200, 0, 200}), {0, 1, 2}, 1e-30);
}

TEST(Elementary, LetsWhatIsNoNumberThrough) {
    for (const std::shared_ptr<Op>& op : std::vector<std::shared_ptr<Op>>{
             std::make_shared<Exp>(), std::make_shared<Log>(), std::make_shared<Sqrt>(),
             std::make_shared<Abs>(), std::make_shared<Power>(0.75), std::make_shared<Power>(0.3),
             std::make_shared<Reciprocal>(), std::make_shared<Clip>(), std::make_shared<Elu>(),
             std::make_shared<Silu>(), std::make_shared<HardSigmoid>(),
             std::make_shared<HardSwish>(), std::make_shared<Softplus>(), std::make_shared<Gelu>(),
             std::make_shared<Gelu>(true)}) {
        EXPECT_TRUE(std::isnan(run_unary(*op, {kNan})[0])) << op->kind();
    }
    for (const Values& pair : {Values{kNan, 1}, Values{1, kNan}}) {
        EXPECT_TRUE(std::isnan(run_binary(Maximum(), {pair[0]}, {pair[1]})[0]));
        EXPECT_TRUE(std::isnan(run_binary(Minimum(), {pair[0]}, {pair[1]})[0]));
    }
    EXPECT_TRUE(std::isnan(run_binary(Prelu(), {kNan}, {0.5})[0]));
}

TEST(ChannelSum, AgreesWithTheReferenceAndItsGradient) {
    const auto window = [](int64_t before, int64_t after) {
        auto op = std::make_shared<ChannelSum>();
        op->before = before;
        op->after = after;
        return op;
    };
    check_op(window(2, 2), {{batched_type({19, 3, 2})}, {}});
    check_op(window(2, 1), {{kMap}, {}});
    check_op(window(0, 3), {{batched_type({17})}, {}});
    check_lowering(*window(31, 31), {{batched_type({3, 2, 2})}, {}});
    check_lowering(*window(0, 0), {{batched_type({1, 2, 2})}, {}});
    EXPECT_TRUE(is_inlinable(*window(2, 2), {kMap}));
}

// ---- What is refused ----

TEST(Elementary, RefusesWhatIsNoAttribute) {
    EXPECT_EQ(node_error(std::make_shared<Elu>(-1), {kMap}),
              "net.cpp:7: error[attribute]: elu 'it': the alpha is -1, which is negative\n"
              "    operand 'a' f32[n,5,3,4] from net.cpp:1\n"
              "  fix: choose an alpha of 0 or more; 1 is usual");
    EXPECT_EQ(
        node_error(std::make_shared<Clip>(2, 2), {kMap}),
        "net.cpp:7: error[attribute]: clip 'it': the ends are 2 and 2, but the lower one must "
        "be below\n"
        "    operand 'a' f32[n,5,3,4] from net.cpp:1\n"
        "  fix: give the lower end first");
    auto sum = std::make_shared<ChannelSum>();
    sum->before = 32;
    EXPECT_EQ(
        node_error(sum, {kMap}),
        "net.cpp:7: error[attribute]: channel_sum 'it': the window has 32 channels before and "
        "2 after its own\n"
        "    operand 'a' f32[n,5,3,4] from net.cpp:1\n"
        "  fix: choose from 0 to 31 on each side");
    for (const std::shared_ptr<Op>& op : std::vector<std::shared_ptr<Op>>{
             std::make_shared<Power>(kNan), std::make_shared<Reciprocal>(kInfinity),
             std::make_shared<Shift>(1e39)}) {
        EXPECT_NE(node_error(op, {kMap}).find("which is no number of 32-bit floats"),
                  std::string::npos)
            << op->kind();
    }
}

}  // namespace
}  // namespace emulsion::test
