// Folded batch norm: worked examples, and equality with batch norm by its running statistics.
#include "compiler/passes/inference_form.h"

#include <gtest/gtest.h>

#include <cmath>

#include "compiler/graph/text.h"
#include "tests/support/graph_results.h"

namespace emulsion::test {
namespace {

Graph inference_of(const std::string& text) {
    Network network;
    network.graph = parse_graph(text, "net.emu");
    network.name = network.graph.name();
    Graph graph = inference_form(network);
    verify(graph);
    return graph;
}

reference::Tensor one_value(const TensorType& type, double value) {
    return reference::make_tensor(type, 1, {value});
}

const std::string kSources = R"(graph net {
  %x = input() : f32[n,1,1,1]
  %w = parameter() : f32[1,1,1,1]
  %b = parameter() : f32[1]
  %gamma = parameter() : f32[1]
  %beta = parameter() : f32[1]
  %mean = state() : f32[1]
  %variance = state() {value=1} : f32[1]
)";

TEST(InferenceForm, TheBiasIsScaledToo) {  // case X1
    Graph graph = inference_of(kSources + R"(
  %conv = conv2d(%x, %w) : f32[n,1,1,1]
  %biased = add(%conv, %b) : f32[n,1,1,1]
  %bn = batch_norm(%biased, %gamma, %beta, %mean, %variance) {epsilon=0} : f32[n,1,1,1], f32[1], f32[1]
  output "y" %bn:0
})");
    reference::Sources sources = {{"x", one_value(batched_type({1, 1, 1}), 2)},
                                  {"w", one_value(plain_type({1, 1, 1, 1}), 3)},
                                  {"b", one_value(plain_type({1}), 5)},
                                  {"gamma", one_value(plain_type({1}), 4)},
                                  {"beta", one_value(plain_type({1}), 0.5)},
                                  {"mean", one_value(plain_type({1}), 1)},
                                  {"variance", one_value(plain_type({1}), 0.25)}};
    EXPECT_EQ(results_of(graph, sources, 1).at("output y").values[0], 80.5);
}

TEST(InferenceForm, SharedWeightsEachWithItsOwnFold) {  // case X2
    const std::string norms = R"(
  %gamma2 = parameter() : f32[1]
  %beta2 = parameter() : f32[1]
  %bn1 = batch_norm(%one, %gamma, %beta, %mean, %variance) {epsilon=0} : f32[n,1,1,1], f32[1], f32[1]
  %bn2 = batch_norm(%two, %gamma2, %beta2, %mean, %variance) {epsilon=0} : f32[n,1,1,1], f32[1], f32[1]
  output "one" %bn1:0
  output "two" %bn2:0
})";
    Graph shared_weights = inference_of(kSources + R"(
  %one = conv2d(%x, %w) : f32[n,1,1,1]
  %two = conv2d(%x, %w) : f32[n,1,1,1])" +
                                        norms);
    std::string one_convolution = kSources + "  %one = conv2d(%x, %w) : f32[n,1,1,1]" + norms;
    one_convolution.replace(one_convolution.find("batch_norm(%two"), 15, "batch_norm(%one");
    for (const Graph& graph : {shared_weights, inference_of(one_convolution)}) {
        reference::Sources sources = {{"x", one_value(batched_type({1, 1, 1}), 1)},
                                      {"w", one_value(plain_type({1, 1, 1, 1}), 5)},
                                      {"b", one_value(plain_type({1}), 0)},
                                      {"gamma", one_value(plain_type({1}), 2)},
                                      {"beta", one_value(plain_type({1}), 1)},
                                      {"gamma2", one_value(plain_type({1}), -3)},
                                      {"beta2", one_value(plain_type({1}), 4)},
                                      {"mean", one_value(plain_type({1}), 0)},
                                      {"variance", one_value(plain_type({1}), 1)}};
        GraphResults results = results_of(graph, sources, 1);
        EXPECT_EQ(results.at("output one").values[0], 11);
        EXPECT_EQ(results.at("output two").values[0], -11);
    }
}

// A convolution or dense layer, its bias where it has one, and batch norm, computed without
// folding.
void expect_folded_values(const std::string& layer, const std::string& type) {
    SCOPED_TRACE(layer);
    const std::string head = R"(graph net {
  %map = input() : f32[n,2,5,4]
  %features = input() : f32[n,6]
  %flat = flatten(%map) : f32[n,40]{2,5,4}
  %flat_matrix = parameter() : f32[3,40]{2,5,4}
  %filter = parameter() : f32[3,2,3,2]
  %matrix = parameter() : f32[3,6]
  %bias = parameter() : f32[3]
  %gamma = parameter() : f32[3]
  %beta = parameter() : f32[3]
  %mean = state() : f32[3]
  %variance = state() {value=1} : f32[3]
)" + layer;
    const std::string tail = "\n  output \"y\" %y\n}";
    Graph plain = parse_graph(head + tail, "net.emu");
    Graph folded = inference_of(
        head + "\n  %bn = batch_norm(%y, %gamma, %beta, %mean, %variance) {epsilon=0.01} : " +
        type + ", f32[3], f32[3]\n  output \"y\" %bn:0\n}");
    EXPECT_EQ(print(folded).find("batch_norm("), std::string::npos);
    reference::Sources sources = random_sources(plain, 3, 5);
    for (auto& [name, tensor] : random_sources(folded, 3, 5)) sources.try_emplace(name, tensor);
    reference::Tensor expected = results_of(plain, sources, 3).at("output y");
    const int64_t positions = element_count(expected.type) / 3;
    for (size_t i = 0; i < expected.values.size(); i++) {
        size_t c = i / static_cast<size_t>(positions) % 3;
        expected.values[i] = (expected.values[i] - sources.at("mean").values[c]) *
                                 sources.at("gamma").values[c] /
                                 std::sqrt(sources.at("variance").values[c] + 0.01) +
                             sources.at("beta").values[c];
    }
    EXPECT_LT(relative_difference(results_of(folded, sources, 3).at("output y"), expected), 1e-12);
}

TEST(InferenceForm, ValuesAreThoseOfTheRunningStatistics) {
    expect_folded_values("  %y = conv2d(%map, %filter) : f32[n,3,3,3]", "f32[n,3,3,3]");
    expect_folded_values(
        "  %c = conv2d(%map, %filter) : f32[n,3,3,3]\n  %y = add(%c, %bias) : f32[n,3,3,3]",
        "f32[n,3,3,3]");
    expect_folded_values("  %y = dense(%features, %matrix) : f32[n,3]", "f32[n,3]");
    expect_folded_values(
        "  %c = dense(%features, %matrix) : f32[n,3]\n  %y = add(%c, %bias) : f32[n,3]",
        "f32[n,3]");
    expect_folded_values(
        "  %c = conv2d(%map, %filter) : f32[n,3,3,3]\n  %y = tanh(%c) : f32[n,3,3,3]",
        "f32[n,3,3,3]");
    expect_folded_values(
        "  %c = conv2d(%map, %filter) : f32[n,3,3,3]\n  %y = multiply(%c, %bias) : f32[n,3,3,3]",
        "f32[n,3,3,3]");
    expect_folded_values(
        "  %c = conv2d(%map, %filter) : f32[n,3,3,3]\n  %y = add(%bias, %c) : f32[n,3,3,3]",
        "f32[n,3,3,3]");
}

// Weights whose second axis is a flattened map are scaled by their first.
TEST(InferenceForm, FoldsIntoWeightsOfAFlattenedMap) {
    const std::string dense = "  %c = dense(%flat, %flat_matrix) : f32[n,3]\n";
    expect_folded_values("  %y = dense(%flat, %flat_matrix) : f32[n,3]", "f32[n,3]");
    expect_folded_values(dense + "  %y = add(%c, %bias) : f32[n,3]", "f32[n,3]");
    expect_folded_values(dense + "  %y = relu(%c) : f32[n,3]", "f32[n,3]");
}

// Loss and counts are of training.
TEST(InferenceForm, CountsOfEveryClassifierGo) {
    const Graph graph = inference_of(
        "graph net { %x = input() : f32[n,3] %y = reduce(%x) : f32[] output \"loss\" %y "
        "output \"correct\" %y output \"aux.correct\" %y output \"corrected\" %x "
        "output \"aux.scores\" %x }");
    ASSERT_EQ(graph.results().size(), 2u);
    EXPECT_EQ(graph.results()[0].name, "corrected");
    EXPECT_EQ(graph.results()[1].name, "aux.scores");
    EXPECT_EQ(graph.nodes().size(), 1u);
}

TEST(InferenceForm, ANetworkWithoutOutputIsRefused) {
    try {
        inference_of(
            "graph net { %x = input() : f32[n,3] %y = reduce(%x) {mean=true} : f32[] output "
            "\"loss\" %y }");
        FAIL();
    } catch (const Error& error) {
        EXPECT_STREQ(error.what(),
                     "error[output]: network 'net' has no output for inference\n"
                     "  fix: end the model with classify(…), or name an output");
    }
}

}  // namespace
}  // namespace emulsion::test
