// The gradient that flows through a pool which moved in front of bias and ReLU.
#include "compiler/passes/pool_first.h"

#include <gtest/gtest.h>

#include "compiler/autodiff/training_step.h"
#include "compiler/graph/text.h"
#include "tests/support/graph_results.h"

namespace emulsion::test {
namespace {

Network pooled(const std::string& pool, const std::string& type) {
    return parse_network(R"(network net
optimizer sgd {learning_rate=0.1}
schedule constant
graph net {
  %x = input() : f32[n,2,7,7]
  %w = parameter() : f32[4,2,3,3]
  %b = parameter() : f32[4]
  %conv = conv2d(%x, %w) {padding=[1,1,1,1]} : f32[n,4,7,7]
  %biased = add(%conv, %b) : f32[n,4,7,7]
  %y = relu(%biased) : f32[n,4,7,7]
  %pool = max_pool(%y) {)" + pool +
                             "} : f32[n," + type + "], u8[n," + type + R"(]
  %bent = tanh(%pool:0) : f32[n,)" +
                             type + R"(]
  %square = multiply(%bent, %bent) : f32[n,)" +
                             type + R"(]
  %loss = reduce(%square) {mean=true} : f32[]
  output "loss" %loss
})",
                         "net.emu");
}

TEST(PoolFirst, GradientsStayRight) {
    for (const Network& network : {pooled("window=[2,2], stride=[2,2]", "4,3,3"),
                                   pooled("window=[3,3], stride=[2,2], padding=[1,1,1,1]", "4,4,4"),
                                   pooled("window=[7,7], stride=[7,7]", "4,1,1")}) {
        Network moved = network;
        moved.graph = pool_first(network.graph);
        EXPECT_NE(print(moved.graph).find("max_pool(%conv)"), std::string::npos)
            << print(moved.graph);
        expect_equal_results(training_step(network), training_step(moved), 3);
    }
}

// Where several cells of a window share the maximum only after ReLU, all of it is zero and nothing
// flows back.
TEST(PoolFirst, WindowsThatReluClosesPassNoGradient) {
    Network network = pooled("window=[7,7], stride=[7,7]", "4,1,1");
    network.graph = pool_first(network.graph);
    Graph step = training_step(network);
    reference::Sources sources = random_sources(step, 2);
    for (double& bias : sources.at("b").values) bias = -1000;
    GraphResults results = results_of(step, sources, 2);
    for (const char* name : {"gradient w", "gradient b"}) {
        for (double value : results.at(name).values) EXPECT_EQ(value, 0) << name;
    }
}

}  // namespace
}  // namespace emulsion::test
