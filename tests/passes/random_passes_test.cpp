// All passes together on random networks: the optimised graphs hand out what the plain ones do.
#include <gtest/gtest.h>

#include "compiler/autodiff/training_step.h"
#include "compiler/graph/text.h"
#include "compiler/passes/inference_form.h"
#include "compiler/pipeline.h"
#include "tests/support/graph_results.h"
#include "tests/support/random_network.h"

namespace emulsion::test {
namespace {

void expect_values_kept(uint64_t first, uint64_t last) {
    int trained = 0;
    for (uint64_t seed = first; seed <= last; seed++) {
        Network network = random_network(seed);
        SCOPED_TRACE("seed " + std::to_string(seed) + "\n" + print(network));
        verify(network.graph);
        expect_equal_results(training_step(network), training_graph(network), 3, 1e-7);
        expect_equal_results(inference_form(network), inference_graph(network), 3, 1e-9);
        const Graph optimized = training_graph(network);
        for (const Result& result : optimized.results()) {
            trained += result.kind == Result::Kind::gradient ? 1 : 0;
        }
        if (::testing::Test::HasFailure()) return;
    }
    EXPECT_GT(trained, 100);  // the networks are not too simple
}

TEST(RandomNetworks, PassesKeepTheirValues) { expect_values_kept(1, 60); }
TEST(RandomNetworks, PassesKeepTheirValuesOfLinesAndVolumes) {
    expect_values_kept(kOtherAxes + 1, kOtherAxes + 60);
}

}  // namespace
}  // namespace emulsion::test
