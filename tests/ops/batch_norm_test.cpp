// Batch normalisation: the composite, its parts, its gradient through the primitives, and published
// disagreements.
#include "compiler/ops/batch_norm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "compiler/ops/batch_norm_parts.h"
#include "compiler/ops/sources.h"
#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

using reference::make_tensor;
using reference::Tensor;
using Values = std::vector<double>;

OpCase norm_case(const TensorType& x, int64_t samples = 3) {
    const TensorType channels = plain_type({x.shape[0]});
    return {{x, channels, channels, channels, channels},
            {Fill::normal, Fill::normal, Fill::normal, Fill::normal, Fill::positive},
            samples};
}

Tensor vector_of(Values values) {
    const auto count = static_cast<int64_t>(values.size());
    return make_tensor(plain_type({count}), 1, std::move(values));
}

Tensor features(Values values) {  // one channel, a sample each
    const auto samples = static_cast<int64_t>(values.size());
    return make_tensor(batched_type({1}), samples, std::move(values));
}

TEST(BatchNorm, AgreesWithTheReference) {
    for (const TensorType& type :
         {batched_type({5, 3, 4}), batched_type({17}), batched_type({16, 2, 2})}) {
        check_lowering(BatchNorm(), norm_case(type), 4e-6);
    }
}

// The gradient of y alone, by central differences of the reference.
TEST(BatchNorm, GradientAgreesWithCentralDifferences) {
    for (const TensorType& type : {batched_type({5, 3, 4}), batched_type({17})}) {
        auto op = std::make_shared<BatchNorm>();
        const OpCase op_case = norm_case(type);
        std::vector<Tensor> operands = random_operands(op_case);
        OpCase dy_case{{type}, {}, op_case.samples};
        dy_case.seed = 7;
        const Tensor dy = random_operands(dy_case)[0];

        GraphBuilder builder("gradient");
        reference::Sources sources{{"dy", dy}};
        std::vector<Value> inputs;
        for (size_t i = 0; i < operands.size(); i++) {
            const std::string name(1, static_cast<char>('a' + i));
            inputs.push_back(builder.add(std::make_shared<Input>(op_case.inputs[i]), {}, name));
            sources[name] = operands[i];
        }
        const Value cotangent = builder.add(std::make_shared<Input>(type), {}, "dy");
        const Value y = builder.add(op, inputs, "norm");
        GradientContext context{builder,
                                "norm",
                                inputs,
                                {y, {y.node, 1}, {y.node, 2}},
                                {cotangent, {}, {}},
                                {true, true, true, false, false}};
        const std::vector<Value> gradients = op->gradient(context);
        EXPECT_FALSE(gradients[3].defined());
        EXPECT_FALSE(gradients[4].defined());
        const Graph graph = builder.build();
        verify(graph);
        const reference::Values values = run_graph(graph, sources, op_case.samples);

        const auto objective = [&] {
            const Tensor result = reference::evaluate(*op, operands, op_case.samples)[0];
            double sum = 0;
            for (size_t i = 0; i < dy.values.size(); i++) sum += result.values[i] * dy.values[i];
            return sum;
        };
        for (size_t i = 0; i < 3; i++) {
            const Value gradient = gradients[i];
            const Values& actual =
                values[static_cast<size_t>(gradient.node)][static_cast<size_t>(gradient.output)]
                    .values;
            double difference = 0, norm = 0;
            for (size_t k = 0; k < operands[i].values.size(); k++) {
                const double center = operands[i].values[k];
                operands[i].values[k] = center + 1e-4;
                const double above = objective();
                operands[i].values[k] = center - 1e-4;
                const double below = objective();
                operands[i].values[k] = center;
                const double expected = (above - below) / 2e-4;
                difference += std::pow(actual[k] - expected, 2);
                norm += expected * expected;
            }
            EXPECT_LT(std::sqrt(difference / norm), 1e-5) << "operand " << i;
        }
    }
}

TEST(BatchNorm, RefusesAGradientOfItsStatistics) {
    GraphBuilder builder("g");
    const TensorType x = batched_type({4}), c = plain_type({4});
    std::vector<Value> inputs;
    for (const char* name : {"x", "gamma", "beta", "mean", "variance"}) {
        inputs.push_back(builder.add(std::make_shared<Input>(inputs.empty() ? x : c), {}, name));
    }
    const Value y = builder.add(std::make_shared<BatchNorm>(), inputs, "norm");
    GradientContext context{builder,
                            "norm",
                            inputs,
                            {y, {y.node, 1}, {y.node, 2}},
                            {y, inputs[1], {}},
                            {true, true, true, false, false}};
    try {
        BatchNorm().gradient(context);
        FAIL();
    } catch (const Error& error) {
        EXPECT_STREQ(error.what(),
                     "error[no_gradient]: 'norm': the statistics of batch_norm have no gradient\n"
                     "  fix: let the loss depend on the normalised values alone");
    }
}

TEST(BatchNorm, OneValuePerChannel) {  // case N1
    const auto result = run_op(
        BatchNorm(),
        {features({3}), vector_of({2}), vector_of({0.5}), vector_of({0}), vector_of({1})}, 1);
    EXPECT_EQ(result[0].values, Values{0.5});
    RunningAverage average;
    expect_near(run_op(average, {vector_of({0}), result[1]}, 1)[0].values, {0.3}, 1e-7);
    average.unbiased = true;
    expect_near(run_op(average, {vector_of({1}), result[2]}, 1)[0].values, {0.9}, 1e-7);
}

TEST(BatchNorm, MomentumWeighsTheNewValue) {  // case N2
    const auto result = run_op(
        BatchNorm(),
        {features({1, 3}), vector_of({1}), vector_of({0}), vector_of({0}), vector_of({1})}, 2);
    // running_average counts the samples of the call, so it runs in one graph with them.
    GraphBuilder builder("average");
    const TensorType c = plain_type({1});
    const Value x = builder.add(std::make_shared<Input>(batched_type({1})), {}, "x");
    const Value mean = builder.add(std::make_shared<Input>(c), {}, "mean");
    const Value variance = builder.add(std::make_shared<Input>(c), {}, "variance");
    const Value old_mean = builder.add(std::make_shared<Input>(c), {}, "old_mean");
    const Value old_variance = builder.add(std::make_shared<Input>(c), {}, "old_variance");
    auto plain = std::make_shared<RunningAverage>(), unbiased = std::make_shared<RunningAverage>();
    unbiased->unbiased = true;
    const Value new_mean = builder.add(plain, {old_mean, mean}, "new_mean");
    const Value new_variance = builder.add(unbiased, {old_variance, variance}, "new_variance");
    const Value biased = builder.add(plain, {old_variance, variance}, "biased");
    const auto values = run_graph(builder.build(),
                                  {{"x", features({1, 3})},
                                   {"mean", result[1]},
                                   {"variance", result[2]},
                                   {"old_mean", vector_of({0})},
                                   {"old_variance", vector_of({1})}},
                                  2);
    EXPECT_TRUE(x.defined());
    const auto value = [&](Value v) { return values[static_cast<size_t>(v.node)][0].values[0]; };
    EXPECT_NEAR(value(new_mean), 0.2, 1e-6);
    EXPECT_NEAR(value(new_variance), 1.1, 1e-6);
    EXPECT_NEAR(value(biased), 1.0, 1e-6);
}

TEST(BatchNorm, EpsilonInsideTheRoot) {  // case N3
    BatchNorm op;
    op.epsilon = 1e-6;
    const auto result = run_op(
        op,
        {features({0.001, -0.001}), vector_of({1}), vector_of({0}), vector_of({0}), vector_of({1})},
        2);
    expect_near(result[0].values, {0.70710678, -0.70710678}, 1e-6);
}

TEST(Normalize, AgreesWithTheReference) {
    for (const TensorType& type : {batched_type({5, 3, 4}), batched_type({17})}) {
        const TensorType c = plain_type({type.shape[0]});
        check_lowering(Normalize(), {{type, c, c, c}, {}});
        EXPECT_TRUE(is_inlinable(Normalize(), {type, c, c, c}));
    }
}

TEST(BatchNormParts, AgreeWithTheReference) {
    for (int64_t channels : {5, 16, 17}) {
        const TensorType c = plain_type({channels}), map = batched_type({channels, 3, 4});
        BatchNormCoefficients coefficients;
        coefficients.count = 12;
        check_lowering(coefficients, {{c, c, c, c}, {Fill::normal, Fill::positive}});
        check_lowering(BatchNormFactor(), {{c, c}, {Fill::normal, Fill::positive}});
        check_lowering(BatchNormBackward(), {{map, map, c, c, c, c}, {}});
        check_lowering(BatchNormFold(),
                       {{c, c, c, c}, {Fill::normal, Fill::normal, Fill::normal, Fill::positive}});
        check_op(std::make_shared<ScaleShift>(), {{map, c, c}, {}});
        check_lowering(ScaleFilter(), {{plain_type({channels, 3, 2, 2}), c}, {}});
        check_lowering(ScaleFilter(), {{plain_type({channels, 7}), c}, {}});
        RunningAverage average;
        average.count = 12;
        average.unbiased = true;
        check_lowering(average, {{c, c}, {}});
    }
}

// Scale and shift of a folded normalisation with these statistics, applied to a biased product.
double folded(double x, double w, double bias, const Values& gamma_beta_mean_variance) {
    BatchNormFold fold;
    fold.epsilon = 0;
    std::vector<Tensor> operands;
    for (double value : gamma_beta_mean_variance) operands.push_back(vector_of({value}));
    const auto parts = run_op(fold, operands, 1);
    const Tensor filter = make_tensor(plain_type({1, 1, 1, 1}), 1, {w});
    const double scaled = run_op(ScaleFilter(), {filter, parts[0]}, 1)[0].values[0];
    return x * scaled + bias * parts[0].values[0] + parts[1].values[0];
}

TEST(BatchNormFold, ScalesTheBiasToo) {  // case X1
    EXPECT_NEAR(folded(2, 3, 5, {4, 0.5, 1, 0.25}), 80.5, 1e-5);
}

TEST(BatchNormFold, OneConvolutionWithTwoNormalisations) {  // case X2: each its own fold
    EXPECT_NEAR(folded(1, 5, 0, {2, 1, 0, 1}), 11, 1e-6);
    EXPECT_NEAR(folded(1, 5, 0, {-3, 4, 0, 1}), -11, 1e-6);
}

TEST(BatchNorm, RefusesOperandsThatDoNotFit) {
    const TensorType c = plain_type({4});
    EXPECT_EQ(node_error(std::make_shared<BatchNorm>(),
                         {batched_type({4, 2, 2}), c, plain_type({5}), c, c}),
              "net.cpp:7: error[channels]: batch_norm 'it': f32[n,4,2,2] has 4 channels, but a "
              "per-channel operand is "
              "f32[5]\n"
              "    operand 'a' f32[n,4,2,2] from net.cpp:1\n"
              "    operand 'b' f32[4] from net.cpp:2\n"
              "    operand 'c' f32[5] from net.cpp:3\n"
              "    operand 'd' f32[4] from net.cpp:4\n"
              "    operand 'e' f32[4] from net.cpp:5\n"
              "  fix: give it f32[4]");
    EXPECT_EQ(node_error(std::make_shared<BatchNorm>(), {c, c, c, c, c}).substr(0, 92),
              "net.cpp:7: error[rank]: batch_norm 'it': the input must have channels, but is "
              "f32[4]\n    ope");
}

}  // namespace
}  // namespace emulsion::test
