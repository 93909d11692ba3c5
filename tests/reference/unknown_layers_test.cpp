// Layers from papers, written without an op of their own, against PyTorch: results and gradients
// that tests/reference/unknown_layers.py has stored. tests/integration/stored_layers_test.cpp
// compiles them.
#include <gtest/gtest.h>

#include "dsl/finish.h"
#include "tests/reference/unknown_layer_cases.h"

namespace emulsion::test {
namespace {

TEST(UnknownLayers, ComputeWhatPyTorchDoes) {
    expect_stored_plainly(unknown_layer_cases(), read_stored("unknown_layers.txt"));
}

TEST(UnknownLayers, EveryStoredCaseIsCompared) {
    for (const auto& [name, stored] : read_stored("unknown_layers.txt"))
        EXPECT_TRUE(unknown_layer_cases().contains(name)) << name;
}

// A sample is left out as a whole, or all of it is divided by the share of those that stay.
TEST(StochasticDepth, LeavesOutWholeSamples) {
    constexpr int64_t kSamples = 40, kCells = 6;
    Model m("m");
    m.output("y", stochastic_depth(m.input("x", {3, 1, 2}), {.rate = 0.25}));
    const FinishedModel model = finish(m);
    ASSERT_TRUE(model.network);
    const Graph& graph = model.network->graph;
    const reference::Sources sources = random_sources(graph, kSamples);
    const GraphResults results = results_of(graph, sources, kSamples);
    const std::vector<double>&x = sources.at("x").values, &y = results.at("output y").values;
    int left_out = 0;
    for (size_t sample = 0; sample < kSamples; sample++) {
        const double factor = y[sample * kCells] == 0 ? 0 : 4.0 / 3;
        if (factor == 0) left_out++;
        for (size_t i = sample * kCells; i < (sample + 1) * kCells; i++)
            EXPECT_NEAR(y[i], factor * x[i], 1e-12);
    }
    EXPECT_GT(left_out, 2);
    EXPECT_LT(left_out, 20);
}

}  // namespace
}  // namespace emulsion::test
