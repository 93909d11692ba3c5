// Bytes that a training step moves, from the plan, against what a residual network has to move.
#include <gtest/gtest.h>

#include <set>

#include "compiler/ops/sources.h"
#include "tests/plan/plan_support.h"
#include "tests/support/golden.h"

namespace emulsion::test {
namespace {

// Bytes that the calls of one step read and write: each tensor once in each call.
int64_t moved_bytes(const VariantPlan& variant) {
    int64_t bytes = 0;
    for (const PlannedCall& call : variant.batches.at(0).calls) {
        const size_t results =
            variant.kernels[static_cast<size_t>(call.kernel)].group.body.results().size();
        std::set<int> seen;
        for (size_t i = 0; i < call.buffers.size(); i++) {
            const bool is_result = i + results >= call.buffers.size();
            if (!is_result && !seen.insert(call.buffers[i]).second) continue;
            bytes += variant.buffers[static_cast<size_t>(call.buffers[i])].bytes;
        }
    }
    return bytes;
}

// What a step of a network of batch-normalised convolutions moves at least, where nothing but the
// convolutions passes over a tensor:
//   forward          reads x, writes y
//   data gradient    reads dz and y, writes dx, reads the pre-norm tensor below, once
//   filter gradient  reads x, dz and y
//   residual join    reads the shortcut, writes the sum, moves its gradient
//   parameters, their gradients and the state once
int64_t least_bytes(const Network& network, const Plan& plan, int batch) {
    const Graph& graph = network.graph;
    const auto users = users_of(graph);
    auto bytes_of = [&](Value value) { return memory_bytes(graph.type(value), batch); };
    int64_t bytes = plan.parameter_bytes + plan.gradient_bytes + plan.state_bytes;
    for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++) {
        const Node& node = graph.node(i);
        const Value result{i, 0};
        if (node.op->kind() == "conv2d") {
            EXPECT_EQ(users[static_cast<size_t>(i)].size(), 1u) << node.name;
            const Node& norm = graph.node(users[static_cast<size_t>(i)].at(0));
            EXPECT_EQ(norm.op->kind(), "batch_norm") << node.name;
            const int64_t x = bytes_of(node.inputs[0]), y = bytes_of(result);
            const bool is_first = graph.op_as<Input>(node.inputs[0].node) != nullptr;
            bytes += x + y;                         // forward
            bytes += is_first ? 0 : y + y + x + x;  // data gradient
            bytes += x + y + y;                     // filter gradient
        } else if (node.op->kind() == "add" && node.types[0].shape.size() == 3) {
            bytes += 3 * bytes_of(result);
        }
    }
    return bytes;
}

double share_of_bound(const PlanSettings& settings) {
    const Network network = golden_network("resnet20");
    const Plan plan = plan_network(network, settings);
    return static_cast<double>(moved_bytes(plan.variants[0])) /
           static_cast<double>(least_bytes(network, plan, settings.batches[0]));
}

TEST(MovedBytes, OfResnet20AreNearTheBound) {
    for (const Isa& isa : {isa_avx2(), isa_avx512()}) {
        const double share = share_of_bound({true, {128}, true, {isa}});
        EXPECT_GT(share, 0.8) << isa.name << ": the bound is wrong";
        EXPECT_LE(share, 1.16) << isa.name;
    }
}

// Without fusion every normalised and activated tensor is stored and read again.
TEST(MovedBytes, WithoutFusionAreFarFromTheBound) {
    EXPECT_GT(share_of_bound({true, {128}, false, {isa_avx2()}}), 1.6);
}

}  // namespace
}  // namespace emulsion::test
