// Dropout: the reference, the generator's published vectors, its share and its dependence on seed,
// step and site.
#include "compiler/ops/dropout.h"

#include <Halide.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "compiler/ops/gaussian_noise.h"
#include "compiler/ops/philox.h"
#include "compiler/ops/sources.h"
#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

using reference::make_tensor;
using reference::Tensor;
using Values = std::vector<double>;

const TensorType kWord = plain_type({}, ElementType::i32);

Values drop(const Dropout& op, const Tensor& x, Values words) {
    std::vector<Tensor> operands = {x};
    for (double word : words) operands.push_back(make_tensor(kWord, 1, {word}));
    return run_op(op, operands, x.samples)[0].values;
}

Tensor ones(const TensorType& type, int64_t samples) {
    Tensor x = make_tensor(type, samples);
    std::ranges::fill(x.values, 1.0);
    return x;
}

TEST(Dropout, AgreesWithTheReference) {
    for (const TensorType& type :
         {batched_type({5, 3, 4}), batched_type({17}), plain_type({5, 3})}) {
        for (double rate : {0.0, 0.25, 0.9}) {
            Dropout op;
            op.rate = rate;
            op.site = 3;
            check_lowering(op, {{type, kWord, kWord, kWord, kWord}, {}, 3, 1000});
        }
    }
}

// Counter and key of zeros, of ones, and of the digits of pi: the vectors of the authors' library.
TEST(Philox, KnownAnswers) {
    const auto word = [](uint32_t value) { return Halide::Expr(value); };
    const auto run = [&](std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
        std::array<Halide::Expr, 4> result =
            philox({word(counter[0]), word(counter[1]), word(counter[2]), word(counter[3])},
                   {word(key[0]), word(key[1])});
        Halide::Var i("i");
        Halide::Func f("f");
        f(i) = Halide::mux(i, {result[0], result[1], result[2], result[3]});
        Halide::Buffer<uint32_t> buffer = f.realize({4});
        return std::vector<uint32_t>(buffer.begin(), buffer.end());
    };
    EXPECT_EQ(run({0, 0, 0, 0}, {0, 0}),
              (std::vector<uint32_t>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
    const uint32_t f = 0xffffffff;
    EXPECT_EQ(run({f, f, f, f}, {f, f}),
              (std::vector<uint32_t>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
    EXPECT_EQ(run({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
              (std::vector<uint32_t>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Dropout, DropsItsShareAndScalesTheRest) {
    Dropout op;
    op.rate = 0.3;
    const Values y = drop(op, ones(batched_type({100, 10, 10}), 4), {1, 2, 3, 4});
    const auto dropped = std::ranges::count(y, 0.0);
    EXPECT_NEAR(static_cast<double>(dropped) / 40000.0, 0.3, 0.01);
    for (double value : y) EXPECT_TRUE(value == 0 || std::abs(value - 1 / 0.7) < 1e-6);
}

TEST(Dropout, DependsOnSeedStepAndSite) {
    Dropout op, other;
    other.site = 1;
    const Tensor x = ones(batched_type({64}), 2);
    const Values y = drop(op, x, {1, 2, 3, 4});
    EXPECT_EQ(drop(op, x, {1, 2, 3, 4}), y);
    EXPECT_NE(drop(other, x, {1, 2, 3, 4}), y);
    for (const Values& words :
         {Values{9, 2, 3, 4}, Values{1, 9, 3, 4}, Values{1, 2, 9, 4}, Values{1, 2, 3, 9}}) {
        EXPECT_NE(drop(op, x, words), y);
    }
    EXPECT_NE(Values(y.begin(), y.begin() + 64), Values(y.begin() + 64, y.end()));
}

// The masks of two layers in three steps are six masks: each keeps half, each pair agrees on half.
TEST(Dropout, MasksOfLayersAndStepsAreIndependent) {  // case c211
    constexpr size_t kFeatures = 10000;
    std::vector<Values> masks;
    for (int64_t site : {0, 1}) {
        for (double step : {0.0, 1.0, 2.0}) {
            Dropout op;
            op.site = site;
            masks.push_back(drop(op, ones(batched_type({kFeatures}), 1), {7, 0, step, 0}));
            EXPECT_NEAR(static_cast<double>(std::ranges::count(masks.back(), 2.0)) / kFeatures, 0.5,
                        0.02);
            for (double value : masks.back()) EXPECT_TRUE(value == 0 || value == 2);
        }
    }
    for (size_t a = 0; a < masks.size(); a++) {
        for (size_t b = 0; b < a; b++) {
            size_t equal = 0;
            for (size_t i = 0; i < kFeatures; i++) equal += masks[a][i] == masks[b][i] ? 1 : 0;
            EXPECT_NEAR(static_cast<double>(equal) / kFeatures, 0.5, 0.02) << a << " and " << b;
        }
    }
}

TEST(Dropout, GradientDropsTheSameValues) {
    GraphBuilder builder("g");
    const TensorType type = batched_type({5, 3, 4});
    std::vector<Value> inputs = {builder.add(std::make_shared<Input>(type), {}, "x")};
    reference::Sources sources{{"x", ones(type, 2)}};
    for (const char* name : {"seed_low", "seed_high", "step_low", "step_high"}) {
        inputs.push_back(builder.add(std::make_shared<Input>(kWord), {}, name));
        sources[name] = make_tensor(kWord, 1, {static_cast<double>(inputs.size())});
    }
    const auto op = std::make_shared<Dropout>();
    const Value y = builder.add(op, inputs, "drop");
    GradientContext context{builder, "drop",      inputs,
                            {y},     {inputs[0]}, {true, false, false, false, false}};
    const Value dx = op->gradient(context)[0];
    const auto values = run_graph(builder.build(), sources, 2);
    EXPECT_EQ(values[static_cast<size_t>(dx.node)][0].values,
              values[static_cast<size_t>(y.node)][0].values);
}

TEST(SpatialDropout, DropsWholeChannels) {
    for (const TensorType& type : {batched_type({5, 3, 4}), batched_type({17})}) {
        SpatialDropout op;
        op.site = 2;
        check_lowering(op, {{type, kWord, kWord, kWord, kWord}, {}, 3, 1000});
    }
    SpatialDropout op;
    op.rate = 0.3;
    const Values y = drop(op, ones(batched_type({1000, 2, 2}), 4), {1, 2, 3, 4});
    for (size_t i = 0; i < y.size(); i++) EXPECT_EQ(y[i], y[i / 4 * 4]);
    EXPECT_NEAR(static_cast<double>(std::ranges::count(y, 0.0)) / 16000.0, 0.3, 0.02);
}

TEST(GaussianNoise, AgreesWithTheReference) {
    GaussianNoise op;
    op.site = 3;
    op.deviation = 0.5;
    for (const TensorType& type : {batched_type({5, 3, 4}), batched_type({17})})
        check_lowering(op, {{type, kWord, kWord, kWord, kWord}, {}, 3, 1000});
}

TEST(GaussianNoise, HasMeanDeviationAndTails) {
    GaussianNoise op;
    op.deviation = 2;
    const TensorType type = batched_type({100, 10, 10});
    std::vector<Tensor> operands = {make_tensor(type, 4)};
    for (double word : {1.0, 2.0, 3.0, 4.0}) operands.push_back(make_tensor(kWord, 1, {word}));
    const Values y = run_op(op, operands, 4)[0].values;
    double sum = 0, squares = 0, beyond = 0;
    for (double value : y) {
        sum += value;
        squares += value * value;
        beyond += std::abs(value) > 4 ? 1 : 0;
    }
    const auto count = static_cast<double>(y.size());
    EXPECT_NEAR(sum / count, 0, 0.04);
    EXPECT_NEAR(std::sqrt(squares / count), 2, 0.03);
    EXPECT_NEAR(beyond / count, 0.0455, 0.005);
    operands[3] = make_tensor(kWord, 1, {9});
    EXPECT_NE(run_op(op, operands, 4)[0].values, y);  // another step
}

TEST(Dropout, RefusesARateOfOne) {
    auto op = std::make_shared<Dropout>();
    op->rate = 1;
    EXPECT_EQ(
        node_error(op, {batched_type({4}), kWord, kWord, kWord, kWord}),
        "net.cpp:7: error[rate]: dropout 'it': the rate is 1, but must be at least 0 and below 1\n"
        "    operand 'a' f32[n,4] from net.cpp:1\n"
        "    operand 'b' i32[] from net.cpp:2\n"
        "    operand 'c' i32[] from net.cpp:3\n"
        "    operand 'd' i32[] from net.cpp:4\n"
        "    operand 'e' i32[] from net.cpp:5\n"
        "  fix: give the share of values to drop, for example 0.5");
}

}  // namespace
}  // namespace emulsion::test
