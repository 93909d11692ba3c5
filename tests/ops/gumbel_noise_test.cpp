// Gumbel noise: the reference, and that the largest of some values is drawn from their softmax. The
// end of a gradient.
#include "compiler/ops/gumbel_noise.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "compiler/autodiff/differentiate.h"
#include "compiler/ops/arithmetic.h"
#include "compiler/ops/sources.h"
#include "compiler/ops/stop_gradient.h"
#include "tests/support/check_op.h"
#include "tests/support/graph_results.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

using reference::make_tensor;
using reference::Tensor;
using Values = std::vector<double>;

const TensorType kWord = plain_type({}, ElementType::i32);

Values noisy(const Tensor& x, int64_t site, const Values& words) {
    std::vector<Tensor> operands = {x};
    for (double word : words) operands.push_back(make_tensor(kWord, 1, {word}));
    GumbelNoise op;
    op.site = site;
    return run_op(op, operands, x.samples)[0].values;
}

TEST(GumbelNoise, AgreesWithTheReference) {
    GumbelNoise op;
    op.site = 3;
    for (const TensorType& type : {batched_type({5, 3, 4}), batched_type({17}), plain_type({5, 3})})
        check_lowering(op, {{type, kWord, kWord, kWord, kWord}, {}, 3, 1000});
}

// The mean is Euler's constant, the variance pi^2 / 6; numbers end at -log(log 2^24) and 16.64.
TEST(GumbelNoise, HasMeanAndVariance) {
    const Values y = noisy(make_tensor(batched_type({100, 10, 10}), 4), 0, {1, 2, 3, 4});
    double sum = 0, squares = 0;
    for (double value : y) {
        sum += value;
        squares += value * value;
        EXPECT_TRUE(value > -2.82 && value < 16.7) << value;
    }
    const auto count = static_cast<double>(y.size());
    const double mean = sum / count;
    EXPECT_NEAR(mean, 0.5772, 0.02);
    EXPECT_NEAR(squares / count - mean * mean, 1.6449, 0.05);
    EXPECT_NE(noisy(make_tensor(batched_type({100, 10, 10}), 4), 1, {1, 2, 3, 4}), y);
    EXPECT_NE(noisy(make_tensor(batched_type({100, 10, 10}), 4), 0, {1, 2, 9, 4}), y);
}

TEST(GumbelNoise, TheLargestIsDrawnFromTheSoftmax) {
    constexpr int64_t kDraws = 20000;
    const std::array<double, 3> scores = {0.5, -1, 1.25};
    Tensor x = make_tensor(batched_type({3}), kDraws);
    for (size_t i = 0; i < x.values.size(); i++) x.values[i] = scores[i % 3];
    const Values y = noisy(x, 0, {5, 6, 7, 8});
    std::array<double, 3> wins{};
    for (auto row = y.begin(); row != y.end(); row += 3)
        wins[static_cast<size_t>(std::max_element(row, row + 3) - row)]++;
    const double sum = std::exp(0.5) + std::exp(-1) + std::exp(1.25);
    for (size_t i = 0; i < 3; i++)
        EXPECT_NEAR(wins[i] / kDraws, std::exp(scores[i]) / sum, 0.01) << i;
}

TEST(GumbelNoise, RefusesSeedsThatAreNone) {
    const TensorType x = batched_type({2});
    EXPECT_EQ(node_error(std::make_shared<GumbelNoise>(), {x, kWord, kWord, kWord, x}),
              "net.cpp:7: error[element]: gumbel_noise 'it': seed and step must be i32[], but one "
              "is f32[n,2]\n"
              "    operand 'a' f32[n,2] from net.cpp:1\n"
              "    operand 'b' i32[] from net.cpp:2\n"
              "    operand 'c' i32[] from net.cpp:3\n"
              "    operand 'd' i32[] from net.cpp:4\n"
              "    operand 'e' f32[n,2] from net.cpp:5\n"
              "  fix: give it the scalars seed_low, seed_high, step_low and step_high");
}

TEST(StopGradient, AgreesWithTheReference) {
    for (const TensorType& type :
         {batched_type({5, 3, 4}), plain_type({5, 3}), batched_type({2, 2}, ElementType::i32)})
        check_lowering(StopGradient(), {{type}, {}, 2});
}

// Of x * stop(x), the derivative is the second factor alone.
TEST(StopGradient, NothingFlowsBack) {
    GraphBuilder builder("g");
    const Value x = builder.add(std::make_shared<Parameter>(plain_type({})), {}, "x");
    const Value still = builder.add(std::make_shared<StopGradient>(), {x}, "still");
    const Value y = builder.add(std::make_shared<Multiply>(), {x, still}, "y");
    const Value dx = differentiate(builder, y, {x.node})[0];
    EXPECT_FALSE(differentiate(builder, still, {x.node})[0].defined());
    const auto values =
        reference::evaluate(builder.build(), {{"x", make_tensor(plain_type({}), 1, {3})}}, 1);
    EXPECT_EQ(values[static_cast<size_t>(dx.node)][0].values, Values{3});
}

}  // namespace
}  // namespace emulsion::test
