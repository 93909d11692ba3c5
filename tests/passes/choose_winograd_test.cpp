// Where the pass that chooses Winograd convolution acts, and that results and gradients stay.
#include "compiler/passes/choose_winograd.h"

#include <gtest/gtest.h>

#include "compiler/graph/text.h"
#include "compiler/pipeline.h"
#include "tests/support/golden.h"
#include "tests/support/graph_results.h"

namespace emulsion::test {
namespace {

TEST(ChooseWinograd, Cases) {
    expect_golden_cases("passes/choose_winograd.txt", [](const Graph& graph) {
        verify(graph);
        Graph after = choose_winograd(graph, 64);
        verify(after);
        expect_equal_results(graph, after, 2);
        EXPECT_TRUE(choose_winograd(after, 64) == after) << "a second run changes the graph again";
        return print(after);
    });
}

Network small_network() {
    return parse_network(R"(network net
optimizer sgd {learning_rate=0.1}
schedule constant
graph net {
  %x = input() : f32[n,16,6,6]
  %w = parameter() : f32[16,16,3,3]
  %y = conv2d(%x, %w) {padding=[1,1,1,1]} : f32[n,16,6,6]
  %bent = tanh(%y) : f32[n,16,6,6]
  %z = conv2d(%bent, %w) {padding=[0,1,1,2]} : f32[n,16,5,7]
  %square = multiply(%z, %z) : f32[n,16,5,7]
  %loss = reduce(%square) {mean=true} : f32[]
  output "loss" %loss
})",
                         "net.emu");
}

size_t count(const std::string& text, const std::string& word) {
    size_t found = 0;
    for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1))
        found++;
    return found;
}

// Both convolutions and the data gradient that runs through the forward recipe; the filter's own
// gradients stay.
TEST(ChooseWinograd, TrainingStepKeepsItsResults) {
    const Graph exact = training_graph(small_network(), /*exact=*/true);
    const Graph fast = training_graph(small_network(), /*exact=*/false);
    EXPECT_EQ(count(print(exact), "winograd"), 0u);
    EXPECT_EQ(count(print(fast), "= winograd_conv2d("), 3u) << print(fast);
    EXPECT_EQ(count(print(fast), "= winograd_filter("), 3u)
        << "the filter for either tile and the rotated one";
    EXPECT_EQ(count(print(fast), "= conv2d_backward_filter("), 2u);
    expect_equal_results(exact, fast, 2);
}

// 36 and 35 positions a sample: 96 pay over 4 points, 256 over 6.
TEST(ChooseWinograd, LeavesFewPositionsToDirectConvolution) {
    EXPECT_EQ(count(print(training_graph(small_network(), false, 2)), "winograd"), 0u);
    const std::string some = print(training_graph(small_network(), false, 3));
    EXPECT_EQ(count(some, "= winograd_conv2d("), 3u);
    EXPECT_EQ(count(some, "tile=4"), 0u);
    const std::string more = print(training_graph(small_network(), false, 8));
    EXPECT_EQ(count(more, "= winograd_conv2d("), 3u);
    EXPECT_EQ(count(more, "tile=4"), 2u) << "the map of 5x7 and its filter";
}

}  // namespace
}  // namespace emulsion::test
