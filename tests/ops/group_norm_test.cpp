// Group normalisation: the composite, its parts, and its gradient through the primitives.
#include "compiler/ops/group_norm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "compiler/ops/moments.h"
#include "compiler/ops/sources.h"
#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

using reference::make_tensor;
using reference::Tensor;
using Values = std::vector<double>;

std::shared_ptr<GroupNorm> norm_of(int64_t groups) {
    auto op = std::make_shared<GroupNorm>();
    op->groups = groups;
    op->epsilon = 1e-3;
    return op;
}

OpCase case_of(const TensorType& x) {
    const TensorType channels = plain_type({x.shape[0]});
    return {{x, channels, channels}, {}};
}

// Maps and features, in one group, in several, and in one for each channel.
const std::pair<TensorType, int64_t> kCases[] = {
    {batched_type({6, 5, 4}), 1},  {batched_type({6, 5, 4}), 3}, {batched_type({5, 3, 4}), 5},
    {batched_type({34, 1, 2}), 2}, {batched_type({17}), 1},      {batched_type({18}), 6}};

TEST(GroupNorm, AgreesWithTheReference) {
    for (const auto& [type, groups] : kCases) check_lowering(*norm_of(groups), case_of(type), 4e-6);
}

// From the moments of the strips of real maps: others have no variance.
TEST(GroupNorm, PartsAgreeWithTheReference) {
    for (const auto& [type, groups] : {kCases[1], kCases[3], kCases[5]}) {
        const TensorType strips = strip_type(type), numbers = batched_type({type.shape[0]});
        GroupStatistics statistics;
        statistics.groups = groups;
        statistics.height = type.shape.size() > 1 ? type.shape[1] : 1;
        statistics.width = type.shape.size() > 1 ? type.shape[2] : 1;
        statistics.epsilon = 1e-3;
        std::vector<Tensor> moments =
            reference::evaluate(PartialMoments(), random_operands({{type}, {}}), 3);
        for (Tensor& tensor : moments) tensor = reference::rounded(tensor);
        const std::vector<Tensor> expected = reference::evaluate(statistics, moments, 3);
        const std::vector<Tensor> actual = run_op(statistics, moments, 3);
        for (size_t i = 0; i < 2; i++)
            expect_near(actual[i].values, expected[i].values, i == 0 ? 1e-6 : 4e-5);
        GroupCoefficients coefficients;
        coefficients.groups = groups;
        coefficients.count = element_count(type) / type.shape[0];
        check_lowering(coefficients, {{plain_type({type.shape[0]}), numbers, strips, strips},
                                      {Fill::normal, Fill::positive}});
        check_lowering(PartialDots(), {{type, type, numbers}, {}});
    }
}

TEST(GroupNorm, PartsOfFeaturesAgreeWithTheReference) {
    for (const auto& [features, groups] : {std::pair{17, 1}, {18, 6}, {5, 5}}) {
        const TensorType type = batched_type({features});
        GroupStatistics statistics;
        statistics.groups = groups;
        check_lowering(statistics, {{type}, {}}, 4e-6);
        GroupCoefficients coefficients;
        coefficients.groups = groups;
        check_lowering(coefficients, {{plain_type({features}), type, type, type, type},
                                      {Fill::normal, Fill::positive}});
    }
}

// The gradient of y alone, by central differences of the reference.
TEST(GroupNorm, GradientAgreesWithCentralDifferences) {
    for (const auto& [type, groups] : {kCases[1], kCases[3], kCases[5]}) {
        SCOPED_TRACE(to_string(type));
        const std::shared_ptr<GroupNorm> op = norm_of(groups);
        const OpCase op_case = case_of(type);
        std::vector<Tensor> operands = random_operands(op_case);
        OpCase dy_case{{type}, {}};
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
        const Value flow = builder.add(std::make_shared<Input>(type), {}, "dy");
        const Value y = builder.add(op, inputs, "norm");
        GradientContext context{builder,        "norm",
                                inputs,         {y, {y.node, 1}, {y.node, 2}},
                                {flow, {}, {}}, {true, true, true}};
        const std::vector<Value> gradients = op->gradient(context);
        const reference::Values values = run_graph(builder.build(), sources, op_case.samples);
        const auto objective = [&] {
            const Tensor result = reference::evaluate(*op, operands, op_case.samples)[0];
            double sum = 0;
            for (size_t i = 0; i < dy.values.size(); i++) sum += result.values[i] * dy.values[i];
            return sum;
        };
        for (size_t i = 0; i < operands.size(); i++) {
            const Tensor& actual = values[static_cast<size_t>(gradients[i].node)]
                                         [static_cast<size_t>(gradients[i].output)];
            EXPECT_EQ(actual.type, op_case.inputs[i]);
            Values expected;
            for (double& value : operands[i].values) {
                const double center = value;
                value = center + 1e-4;
                const double above = objective();
                value = center - 1e-4;
                expected.push_back((above - objective()) / 2e-4);
                value = center;
            }
            double largest = 0;
            for (double value : expected) largest = std::max(largest, std::abs(value));
            expect_near(actual.values, expected, 1e-4 * largest);
        }
    }
}

TEST(GroupNorm, LargeCloseNumbersKeepTheirDigits) {  // case N4
    const TensorType type = batched_type({4}), channels = plain_type({4});
    GroupNorm op;
    const Tensor x = make_tensor(type, 1, {70001, 70002, 70003, 70006});
    const Values y =
        run_op(op,
               {x, make_tensor(channels, 1, {1, 1, 1, 1}), make_tensor(channels, 1, {0, 0, 0, 0})},
               1)[0]
            .values;
    expect_near(y, {-1.0690427, -0.5345214, 0, 1.6035641}, 1e-3);
}

TEST(GroupNorm, RefusesGroupsThatDoNotDivide) {
    const TensorType map = batched_type({6, 2, 2}), channels = plain_type({6});
    EXPECT_EQ(node_error(norm_of(4), {map, channels, channels}),
              "net.cpp:7: error[groups]: group_norm 'it': 6 channels cannot be cut into 4 equal "
              "groups\n"
              "    operand 'a' f32[n,6,2,2] from net.cpp:1\n"
              "    operand 'b' f32[6] from net.cpp:2\n"
              "    operand 'c' f32[6] from net.cpp:3\n"
              "  fix: choose a number of groups that divides the channels");
    EXPECT_NE(node_error(norm_of(0), {map, channels, channels}), "");
    EXPECT_NE(node_error(norm_of(2), {map, channels, plain_type({5})}), "");
}

}  // namespace
}  // namespace emulsion::test
