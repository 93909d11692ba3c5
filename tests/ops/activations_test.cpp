// Activations: values, gradients away from the kink, and the derivative at the kink.
#include "compiler/ops/activations.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

using reference::make_tensor;
using Values = std::vector<double>;

Values run_unary(const Op& op, Values x) {
    const TensorType type = batched_type({static_cast<int64_t>(x.size())});
    return run_op(op, {make_tensor(type, 1, std::move(x))}, 1)[0].values;
}

Values run_backward(const Op& op, Values dy, Values y) {
    const TensorType type = batched_type({static_cast<int64_t>(y.size())});
    return run_op(op, {make_tensor(type, 1, std::move(dy)), make_tensor(type, 1, std::move(y))},
                  1)[0]
        .values;
}

TEST(Activations, AgreeWithTheReferenceAndTheirGradients) {
    for (const TensorType& type :
         {batched_type({5, 3, 4}), batched_type({17}), plain_type({5, 3})}) {
        check_op(std::make_shared<Relu>(), {{type}, {Fill::off_zero}});
        check_op(std::make_shared<Relu6>(), {{type}, {Fill::off_zero}});
        check_op(std::make_shared<LeakyRelu>(), {{type}, {Fill::off_zero}});
        check_op(std::make_shared<LeakyRelu>(0.1), {{type}, {Fill::off_zero}});
        check_op(std::make_shared<Tanh>(), {{type}, {}});
        check_op(std::make_shared<Sigmoid>(), {{type}, {}});
    }
}

TEST(Activations, BackwardsAgreeWithTheReference) {
    const OpCase pair{{batched_type({5, 3, 4}), batched_type({5, 3, 4})}, {}};
    check_lowering(ReluBackward(), pair);
    check_lowering(Relu6Backward(), pair);
    check_lowering(LeakyReluBackward(0.2), pair);
    check_lowering(TanhBackward(), pair);
    check_lowering(SigmoidBackward(), pair);
}

TEST(Activations, HaveNoDerivativeAtZero) {
    EXPECT_EQ(run_backward(ReluBackward(), {3, 3, 3}, {0, 2, -0.0}), (Values{0, 3, 0}));
    EXPECT_EQ(run_backward(LeakyReluBackward(0.5), {3, 3}, {0, -2}), (Values{1.5, 1.5}));
}

TEST(Activations, EndAtSix) {
    const Values x = {-1, 0, 0.5, 5.5, 6, 6.5, 1e30};
    EXPECT_EQ(run_unary(Relu6(), x), (Values{0, 0, 0.5, 5.5, 6, 6, 6}));
    EXPECT_EQ(run_backward(Relu6Backward(), {3, 3, 3, 3}, {0, 0.5, 5.5, 6}), (Values{0, 3, 3, 0}));
    EXPECT_TRUE(std::isnan(run_unary(Relu6(), {std::nan("")})[0]));
}

TEST(Activations, StayFiniteAtTheEnds) {
    const double huge = 3e38;
    expect_near(run_unary(Tanh(), {-huge, -20, 0, 20, huge}), {-1, -1, 0, 1, 1}, 0);
    expect_near(run_unary(Sigmoid(), {-huge, -200, 0, 200, huge}), {0, 0, 0.5, 1, 1}, 1e-38);
}

// The same values in lanes of vectors and in tails.
TEST(Activations, KeepTheirDigitsFromEndToEnd) {  // case c209
    const Values x = {-1e4, -100, -45, -20, -1e-4, 0, 1e-4, 20, 45, 100, 1e4};
    for (int64_t channels : {1, 11, 17}) {
        Values in, tanhs, sigmoids;
        for (size_t i = 0; i < x.size(); i++) {
            for (int64_t c = 0; c < channels; c++) {
                const size_t k = (i + static_cast<size_t>(c)) % x.size();
                in.push_back(x[k]);
                tanhs.push_back(std::tanh(x[k]));
                sigmoids.push_back(1 / (1 + std::exp(-x[k])));
            }
        }
        const TensorType type = batched_type({channels, 1, 1});
        const auto samples = static_cast<int64_t>(x.size());
        const auto check = [&](const Op& op, const Op& backward, const Values& expected) {
            const auto y = run_op(op, {make_tensor(type, samples, in)}, samples)[0];
            const auto dx =
                run_op(backward, {make_tensor(type, samples, Values(in.size(), 1)), y}, samples)[0];
            for (size_t i = 0; i < in.size(); i++) {
                EXPECT_NEAR(y.values[i], expected[i], 1e-6 * std::abs(expected[i]) + 1e-37)
                    << op.kind() << " of " << in[i];
                EXPECT_FALSE(std::isnan(dx.values[i])) << op.kind() << " at " << in[i];
                if (std::abs(in[i]) >= 45) {
                    EXPECT_NEAR(dx.values[i], 0, 1e-15) << in[i];
                }
            }
        };
        check(Tanh(), TanhBackward(), tanhs);
        check(Sigmoid(), SigmoidBackward(), sigmoids);
    }
}

TEST(Activations, LetWhatIsNoNumberThrough) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    EXPECT_TRUE(std::isnan(run_unary(Relu(), {nan})[0]));
    EXPECT_TRUE(std::isnan(run_unary(LeakyRelu(), {nan})[0]));
    EXPECT_TRUE(std::isnan(run_unary(Tanh(), {nan})[0]));
    EXPECT_TRUE(std::isnan(run_unary(Sigmoid(), {nan})[0]));
}

TEST(LeakyRelu, RefusesANegativeSlope) {
    EXPECT_EQ(node_error(std::make_shared<LeakyRelu>(-0.5), {batched_type({4})}),
              "net.cpp:7: error[slope]: leaky_relu 'it': the slope is -0.5, which is negative\n"
              "    operand 'a' f32[n,4] from net.cpp:1\n"
              "  fix: choose a slope of 0 or more; 0.01 is usual");
}

}  // namespace
}  // namespace emulsion::test
