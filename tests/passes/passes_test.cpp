// Each pass: graph before and after as text, equal values of both by the reference, and what a
// second run does.
#include <gtest/gtest.h>

#include "compiler/graph/text.h"
#include "compiler/passes/common_subexpressions.h"
#include "compiler/passes/expand_batch_norm.h"
#include "compiler/passes/expand_group_norm.h"
#include "compiler/passes/expand_squared_distance.h"
#include "compiler/passes/freeze_batch_norm.h"
#include "compiler/passes/inference_form.h"
#include "compiler/passes/keep_old_values.h"
#include "compiler/passes/pool_first.h"
#include "compiler/passes/separate_results.h"
#include "compiler/passes/simplify.h"
#include "compiler/passes/two_axes.h"
#include "tests/support/golden.h"
#include "tests/support/graph_results.h"

namespace emulsion::test {
namespace {

// Runs a pass on a graph and checks what every pass promises: a valid graph with the same results,
// which the pass leaves alone.
std::string run_pass(Graph (*pass)(const Graph&), const Graph& graph) {
    verify(graph);
    Graph after = pass(graph);
    verify(after);
    expect_equal_results(graph, after, 3);
    EXPECT_TRUE(pass(after) == after) << "a second run changes the graph again";
    return print(after);
}

TEST(PoolFirst, Cases) {
    expect_golden_cases("passes/pool_first.txt",
                        [](const Graph& graph) { return run_pass(pool_first, graph); });
}

TEST(TwoAxes, Cases) {
    expect_golden_cases("passes/two_axes.txt",
                        [](const Graph& graph) { return run_pass(two_axes, graph); });
}

TEST(Simplify, Cases) {
    expect_golden_cases("passes/simplify.txt",
                        [](const Graph& graph) { return run_pass(simplify, graph); });
}

TEST(CommonSubexpressions, Cases) {
    expect_golden_cases("passes/common_subexpressions.txt",
                        [](const Graph& graph) { return run_pass(common_subexpressions, graph); });
}

TEST(ExpandBatchNorm, Cases) {
    expect_golden_cases("passes/expand_batch_norm.txt",
                        [](const Graph& graph) { return run_pass(expand_batch_norm, graph); });
}

TEST(ExpandGroupNorm, Cases) {
    expect_golden_cases("passes/expand_group_norm.txt",
                        [](const Graph& graph) { return run_pass(expand_group_norm, graph); });
}

TEST(ExpandSquaredDistance, Cases) {
    expect_golden_cases("passes/expand_squared_distance.txt", [](const Graph& graph) {
        return run_pass(expand_squared_distance, graph);
    });
}

// The values of a frozen norm change, which is the point; what is not frozen keeps them.
TEST(FreezeBatchNorm, Cases) {
    expect_golden_cases("passes/freeze_batch_norm.txt", [](const Graph& graph) {
        Graph after = freeze_batch_norm(graph);
        verify(after);
        EXPECT_TRUE(freeze_batch_norm(after) == after) << "a second run changes the graph again";
        return print(after);
    });
}

TEST(KeepOldValues, Cases) {
    expect_golden_cases("passes/keep_old_values.txt", [](const Graph& graph) {
        Graph after = keep_old_values(graph);
        verify(after);
        EXPECT_TRUE(keep_old_values(after) == after) << "a second run changes the graph again";
        return print(after);
    });
}

Graph separate(const Graph& graph) { return separate_results(graph); }

TEST(SeparateResults, Cases) {
    expect_golden_cases("passes/separate_results.txt",
                        [](const Graph& graph) { return run_pass(separate, graph); });
}

TEST(SeparateResults, UpdatesAtOnceShareGradients) {
    const Graph graph = parse_graph(R"(graph net {
  %x = input() : f32[n,3]
  %a = parameter() : f32[3]
  %b = parameter() : f32[3]
  %sum = reduce(%x) {keep_channels=true} : f32[3]
  %next.a = add(%a, %sum) : f32[3]
  %next.b = add(%b, %sum) : f32[3]
  gradient %a <- %sum
  gradient %b <- %sum
  update %a <- %next.a
  update %b <- %next.b
})",
                                    "net.emu");
    EXPECT_TRUE(separate_results(graph, /*update_at_once=*/true) == graph);
}

Graph inference_of(const Graph& graph) {
    Network network;
    network.name = graph.name();
    network.graph = graph;
    return inference_form(network);
}

TEST(InferenceForm, Cases) {
    expect_golden_cases("passes/inference_form.txt", [](const Graph& graph) {
        Graph after = inference_of(graph);
        verify(after);
        EXPECT_TRUE(inference_of(after) == after) << "a second run changes the graph again";
        return print(after);
    });
}

// The passes that training runs, on whole networks.
TEST(Passes, KeepTheValuesOfWholeNetworks) {
    for (const char* name : {"mlp", "lenet"}) {
        SCOPED_TRACE(name);
        Graph graph = golden_network(name).graph;
        reference::Sources sources = random_sources(graph, 2, 1, 10);
        for (auto& [source, value] : sources) {
            if (source.ends_with(".w")) {
                for (double& v : value.values) v *= 0.05;
            }
        }
        GraphResults expected = results_of(graph, sources, 2);
        GraphResults actual =
            results_of(common_subexpressions(simplify(pool_first(graph))), sources, 2);
        for (const auto& [result, tensor] : expected) {
            EXPECT_LT(relative_difference(actual.at(result), tensor), 1e-12) << result;
        }
    }
}

}  // namespace
}  // namespace emulsion::test
