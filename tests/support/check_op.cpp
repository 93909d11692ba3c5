// Random operands, comparison with the reference, central differences.
#include "tests/support/check_op.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "compiler/graph/text.h"
#include "compiler/ops/sources.h"
#include "tests/reference/interpreter.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {

namespace {

using reference::Tensor;

constexpr double kKink = 1e-2;  // distance kept from kinks
constexpr double kStep = 1e-4;  // of the central differences
constexpr double kLimit = 1e-3;

Fill fill_of(const OpCase& op_case, size_t i) {
    if (i < op_case.fills.size()) return op_case.fills[i];
    return op_case.inputs[i].element == ElementType::i32 ? Fill::labels : Fill::normal;
}

void fill(Tensor& tensor, Fill how, int64_t classes, std::mt19937_64& generator) {
    std::normal_distribution<double> normal;
    std::uniform_real_distribution<double> uniform(0.5, 1.5);
    std::uniform_int_distribution<int64_t> label(0, classes - 1);
    for (size_t i = 0; i < tensor.values.size(); i++) {
        double& value = tensor.values[i];
        switch (how) {
            case Fill::normal:
                value = normal(generator);
                break;
            case Fill::off_zero:
                value = normal(generator);
                value += value < 0 ? -kKink : kKink;
                break;
            case Fill::separated:
                value = 2.5 * kKink *
                        (static_cast<double>(i) - static_cast<double>(tensor.values.size()) / 2);
                break;
            case Fill::positive:
                value = uniform(generator);
                break;
            case Fill::labels:
                value = static_cast<double>(label(generator));
                break;
        }
    }
    if (how == Fill::separated) std::shuffle(tensor.values.begin(), tensor.values.end(), generator);
    tensor = reference::rounded(tensor);
}

double norm(const std::vector<double>& values) {
    double sum = 0;
    for (double value : values) sum += value * value;
    return std::sqrt(sum);
}

std::string title(const Op& op, const OpCase& op_case) {
    std::string types;
    for (const TensorType& type : op_case.inputs) types += " " + to_string(type);
    return fmt::format("{}{} on{}, {} samples, seed {}", op.kind(), print_attributes(op), types,
                       op_case.samples, op_case.seed);
}

// A graph of one op with its gradient: inputs x0 …, cotangents g0 … of its f32 results, gradients
// of the inputs.
struct GradientGraph {
    Graph graph;
    std::vector<Value> gradients;
    std::vector<int> differentiated;  // outputs that have a cotangent
};

GradientGraph gradient_graph(const std::shared_ptr<const Op>& op, const OpCase& op_case) {
    GraphBuilder builder("gradient");
    GradientGraph result;
    std::vector<Value> inputs, outputs, gradients;
    std::vector<bool> needed;
    for (size_t i = 0; i < op_case.inputs.size(); i++) {
        inputs.push_back(
            builder.add(std::make_shared<Input>(op_case.inputs[i]), {}, fmt::format("x{}", i)));
        needed.push_back(op_case.inputs[i].element == ElementType::f32);
    }
    const Value first = builder.add(op, inputs, "op");
    const std::vector<TensorType> types = builder.graph().node(first.node).types;
    for (int k = 0; k < static_cast<int>(types.size()); k++) {
        outputs.push_back({first.node, k});
        const TensorType& type = types[static_cast<size_t>(k)];
        if (type.element != ElementType::f32) {
            gradients.emplace_back();
            continue;
        }
        gradients.push_back(builder.add(std::make_shared<Input>(type), {}, fmt::format("g{}", k)));
        result.differentiated.push_back(k);
    }
    GradientContext context{builder, "op", inputs, outputs, gradients, needed};
    result.gradients = op->gradient(context);
    result.graph = builder.build();
    verify(result.graph);
    return result;
}

// d/dx of the sum of cotangent * output, by central differences of the reference.
std::vector<double> central_differences(const Op& op, std::vector<Tensor> operands, size_t which,
                                        const std::vector<Tensor>& cotangents,
                                        const std::vector<int>& outputs, int64_t samples) {
    const auto objective = [&] {
        const std::vector<Tensor> results = reference::evaluate(op, operands, samples);
        double sum = 0;
        for (size_t k = 0; k < outputs.size(); k++) {
            const Tensor& result = results[static_cast<size_t>(outputs[k])];
            for (size_t i = 0; i < result.values.size(); i++)
                sum += result.values[i] * cotangents[k].values[i];
        }
        return sum;
    };
    std::vector<double> differences;
    for (double& value : operands[which].values) {
        const double center = value;
        value = center + kStep;
        const double above = objective();
        value = center - kStep;
        const double below = objective();
        value = center;
        differences.push_back((above - below) / (2 * kStep));
    }
    return differences;
}

}  // namespace

std::vector<Tensor> random_operands(const OpCase& op_case) {
    std::mt19937_64 generator(op_case.seed);
    std::vector<Tensor> operands;
    for (size_t i = 0; i < op_case.inputs.size(); i++) {
        operands.push_back(reference::make_tensor(op_case.inputs[i], op_case.samples));
        fill(operands.back(), fill_of(op_case, i), op_case.classes, generator);
    }
    return operands;
}

void check_lowering(const Op& op, OpCase op_case, double tolerance) {
    const int64_t most = op_case.samples;
    for (op_case.samples = 1; op_case.samples <= most; op_case.samples++) {
        SCOPED_TRACE(title(op, op_case));
        const std::vector<Tensor> operands = random_operands(op_case);
        const std::vector<Tensor> expected = reference::evaluate(op, operands, op_case.samples);
        const std::vector<Tensor> actual = run_op(op, operands, op_case.samples);
        ASSERT_EQ(actual.size(), expected.size());
        for (size_t k = 0; k < actual.size(); k++) {
            double largest = 1e-30;
            for (double value : expected[k].values) largest = std::max(largest, std::abs(value));
            expect_near(actual[k].values, expected[k].values, tolerance * largest);
        }
    }
}

void check_gradient(std::shared_ptr<const Op> op, const OpCase& op_case) {
    SCOPED_TRACE(title(*op, op_case));
    const GradientGraph gradient = gradient_graph(op, op_case);
    const std::vector<Tensor> operands = random_operands(op_case);
    reference::Sources sources;
    for (size_t i = 0; i < operands.size(); i++) sources[fmt::format("x{}", i)] = operands[i];
    std::mt19937_64 generator(op_case.seed + 1000);
    std::vector<Tensor> cotangents;
    const int op_node = gradient.graph.find("op");
    for (int k : gradient.differentiated) {
        cotangents.push_back(
            reference::make_tensor(gradient.graph.type({op_node, k}), op_case.samples));
        fill(cotangents.back(), Fill::normal, 1, generator);
        sources[fmt::format("g{}", k)] = cotangents.back();
    }
    const reference::Values values = run_graph(gradient.graph, sources, op_case.samples);
    double worst = 0;
    size_t worst_operand = 0;
    for (size_t i = 0; i < operands.size(); i++) {
        if (operands[i].type.element != ElementType::f32) continue;
        ASSERT_TRUE(gradient.gradients[i].defined()) << "operand " << i << " has no gradient";
        EXPECT_EQ(gradient.graph.type(gradient.gradients[i]), operands[i].type);
        const std::vector<double> expected = central_differences(
            *op, operands, i, cotangents, gradient.differentiated, op_case.samples);
        std::vector<double> difference = values[static_cast<size_t>(gradient.gradients[i].node)]
                                               [static_cast<size_t>(gradient.gradients[i].output)]
                                                   .values;
        ASSERT_EQ(difference.size(), expected.size());
        for (size_t k = 0; k < expected.size(); k++) difference[k] -= expected[k];
        const double relative = norm(difference) / std::max(norm(expected), 1e-12);
        EXPECT_LT(relative, kLimit) << "operand " << i;
        if (relative >= worst) {
            worst = relative;
            worst_operand = i;
        }
    }
    fmt::print("gradient of {}: worst {:.1e} (operand {})\n", title(*op, op_case), worst,
               worst_operand);
}

void check_op(std::shared_ptr<const Op> op, const OpCase& op_case) {
    check_lowering(*op, op_case);
    check_gradient(std::move(op), op_case);
}

std::string node_error(std::shared_ptr<const Op> op, const std::vector<TensorType>& inputs) {
    GraphBuilder builder("net");
    std::vector<Value> operands;
    for (size_t i = 0; i < inputs.size(); i++) {
        operands.push_back(builder.add(std::make_shared<Input>(inputs[i]), {},
                                       std::string(1, static_cast<char>('a' + i)),
                                       {"net.cpp", static_cast<int>(i) + 1}));
    }
    try {
        builder.add(std::move(op), operands, "it", {"net.cpp", 7});
    } catch (const Error& error) {
        return error.what();
    }
    return "";
}

void expect_near(const std::vector<double>& actual, const std::vector<double>& expected,
                 double tolerance) {
    ASSERT_EQ(actual.size(), expected.size());
    double worst = 0;
    size_t where = 0;
    for (size_t i = 0; i < actual.size(); i++) {
        const double distance = std::abs(actual[i] - expected[i]);
        if (distance > worst || std::isnan(distance)) {
            worst = distance;
            where = i;
        }
        if (std::isnan(distance)) break;
    }
    EXPECT_LE(worst, tolerance) << "at " << where << ": " << actual[where] << ", expected "
                                << expected[where];
}

}  // namespace emulsion::test
