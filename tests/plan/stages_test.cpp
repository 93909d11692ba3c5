// Which stage a node belongs to.
#include <gtest/gtest.h>

#include "compiler/graph/text.h"
#include "compiler/pipeline.h"
#include "compiler/plan/grouping.h"
#include "tests/plan/plan_support.h"
#include "tests/support/golden.h"

namespace emulsion::test {
namespace {

std::string stage_of(const Graph& graph, bool training, const std::string& name) {
    int index = graph.find(name);
    if (index < 0) return "there is no " + name;
    return to_string(stages_of(graph, training)[static_cast<size_t>(index)]);
}

TEST(Stages, OfATrainingStep) {
    Graph graph = training_graph(golden_network("resnet20"));
    for (const char* name :
         {"conv1", "batch_norm1", "batch_norm1.moments", "classify1.mean", "classify1.correct"}) {
        EXPECT_EQ(stage_of(graph, true, name), "forward") << name;
    }
    for (const char* name :
         {"conv1.dw", "batch_norm1.next_mean", "batch_norm1.next_variance", "classify1.dscores"}) {
        EXPECT_EQ(stage_of(graph, true, name), "backward") << name;
    }
    EXPECT_EQ(stage_of(graph, true, "conv1.w.sgd"), "update");
}

// Running statistics are written after the loss test, by forward_backward; optimiser state by
// update.
TEST(Stages, OfAdamsCorrections) {
    Network network = golden_network("mlp");
    network.optimizer = OptimizerSpec();
    network.optimizer.kind = "adam";
    Graph graph = training_graph(network);
    EXPECT_EQ(stage_of(graph, true, "adam.correction1.next"), "update");
    EXPECT_EQ(stage_of(graph, true, "dense1.w.adam"), "update");
    plan_network(network, {true, {32}, true, {isa_avx2()}});
}

TEST(Stages, OfInference) {
    Graph graph = inference_graph(golden_network("resnet20"));
    for (const char* name : {"batch_norm1.fold", "conv1.folded"})
        EXPECT_EQ(stage_of(graph, false, name), "prepare");
    for (const char* name : {"conv1.normalized", "relu1", "classify1.probabilities"}) {
        EXPECT_EQ(stage_of(graph, false, name), "forward") << name;
    }
}

TEST(Stages, OutputsAreNeverWrittenByPrepare) {
    Network network;
    network.name = "net";
    network.graph = parse_graph(R"(graph net {
  %x = input() : f32[n,16]
  %w = parameter() : f32[16]
  %twice = scale(%w) {factor=2} : f32[16]
  %four = scale(%twice) {factor=2} : f32[16]
  %y = add(%x, %four) : f32[n,16]
  output "y" %y
  output "w" %w
  output "twice" %twice
})",
                                "net.emu");
    Plan plan = plan_network(network, {false, {1, 2}, true, {isa_avx2()}});
    for (const BatchPlan& batch : plan.variants[0].batches) {
        for (const PlannedCall& call : batch.calls) {
            if (call.stage != Stage::prepare) continue;
            for (int buffer : call.buffers) {
                EXPECT_NE(plan.variants[0].buffers[static_cast<size_t>(buffer)].memory,
                          MemoryClass::output)
                    << call.name;
            }
        }
        EXPECT_EQ(batch.outputs.size(), 3u);
    }
}

TEST(Stages, ValuesBehindViewsAreFollowed) {
    Graph graph = parse_graph(R"(graph net {
  %x = input() : f32[n,3,2,2]
  %y = relu(%x) : f32[n,3,2,2]
  %flat = flatten(%y) : f32[n,12]{3,2,2}
  %map = unflatten(%flat) {shape=[3,2,2]} : f32[n,3,2,2]
  output "y" %map
})",
                              "net.emu");
    Value root = root_of(graph, {graph.find("map"), 0});
    EXPECT_EQ(root.node, graph.find("y"));
    EXPECT_EQ(root_of(graph, root), root);
}

}  // namespace
}  // namespace emulsion::test
