// Reverse mode on small graphs: which nodes it adds, and that gradients equal central differences
// of the reference.
#include "compiler/autodiff/differentiate.h"

#include <gtest/gtest.h>

#include "compiler/graph/text.h"
#include "tests/support/graph_results.h"

namespace emulsion::test {
namespace {

// The graph with the gradients of its output "loss" as results, one for each target that the loss
// depends on.
Graph with_gradients(const std::string& text, const std::vector<std::string>& targets) {
    Graph graph = parse_graph(text, "net.emu");
    verify(graph);
    GraphBuilder builder(graph, /*keep_results=*/true);
    std::vector<int> nodes;
    for (const std::string& target : targets) nodes.push_back(graph.find(target));
    std::vector<Value> gradients = differentiate(builder, graph.find_output("loss")->value, nodes);
    EXPECT_EQ(gradients.size(), targets.size());
    for (size_t i = 0; i < nodes.size(); i++) {
        if (gradients[i].defined()) builder.gradient(nodes[i], gradients[i]);
    }
    Graph result = builder.build();
    verify(result);
    return result;
}

int count(const Graph& graph, std::string_view kind) {
    int found = 0;
    for (const Node& node : graph.nodes()) found += node.op->kind() == kind ? 1 : 0;
    return found;
}

// What differentiate appended, as text without types.
std::string appended(const Graph& graph, size_t from) {
    std::string text;
    for (size_t i = from; i < graph.nodes().size(); i++) {
        text += graph.nodes()[i].name + " = " + std::string(graph.nodes()[i].op->kind()) + "(";
        for (Value value : graph.nodes()[i].inputs) {
            text += (text.back() == '(' ? "" : ", ") + graph.node(value.node).name;
        }
        text += ")\n";
    }
    return text;
}

// Each gradient of the graph against central differences of its loss, all in double precision.
void expect_true_gradients(const Graph& graph, int64_t samples, int64_t classes = 2) {
    reference::Sources sources = random_sources(graph, samples, 7, classes);
    GraphResults results = results_of(graph, sources, samples);
    int checked = 0;
    for (const Result& result : graph.results()) {
        if (result.kind != Result::Kind::gradient) continue;
        const std::string& name = graph.node(result.target).name;
        reference::Tensor numeric = sources.at(name);
        for (size_t i = 0; i < numeric.values.size(); i++) {
            double value = sources.at(name).values[i], loss[2];
            for (int side : {0, 1}) {
                sources.at(name).values[i] = value + (side == 0 ? -1e-5 : 1e-5);
                loss[side] = results_of(graph, sources, samples).at("output loss").values[0];
            }
            sources.at(name).values[i] = value;
            numeric.values[i] = (loss[1] - loss[0]) / 2e-5;
        }
        EXPECT_LT(relative_difference(results.at("gradient " + name), numeric), 1e-6) << name;
        checked++;
    }
    EXPECT_GT(checked, 0);
}

TEST(Differentiate, AddsTheContributionsOfAllUsers) {
    const std::string text = R"(graph net {
  %x = input() : f32[n,3]
  %w = parameter() : f32[3]
  %a = multiply(%x, %w) : f32[n,3]
  %b = tanh(%a) : f32[n,3]
  %c = multiply(%b, %a) : f32[n,3]
  %d = subtract(%c, %a) : f32[n,3]
  %loss = reduce(%d) {mean=true} : f32[]
  output "loss" %loss
})";
    Graph graph = with_gradients(text, {"w"});
    EXPECT_EQ(count(graph, "add"), 2);  // three users of %a
    expect_true_gradients(graph, 4);
}

TEST(Differentiate, OneOperandReadTwice) {
    Graph graph = with_gradients(R"(graph net {
  %w = parameter() : f32[5]
  %square = multiply(%w, %w) : f32[5]
  %twice = add(%square, %square) : f32[5]
  %x = input() : f32[n,5]
  %y = add(%x, %twice) : f32[n,5]
  %z = multiply(%y, %y) : f32[n,5]
  %loss = reduce(%z) : f32[]
  output "loss" %loss
})",
                                 {"w"});
    expect_true_gradients(graph, 3);
}

TEST(Differentiate, SharedWeights) {
    Graph graph = with_gradients(R"(graph net {
  %x = input() : f32[n,4]
  %w = parameter() : f32[4,4]
  %one = dense(%x, %w) : f32[n,4]
  %bent = tanh(%one) : f32[n,4]
  %two = dense(%bent, %w) : f32[n,4]
  %loss = reduce(%two) {mean=true} : f32[]
  output "loss" %loss
})",
                                 {"w"});
    EXPECT_EQ(count(graph, "dense_backward_weights"), 2);
    EXPECT_EQ(count(graph, "dense_backward_data"), 1);
    expect_true_gradients(graph, 3);
}

TEST(Differentiate, BothOperandsOfAResidualOfBiasedBranches) {
    Graph graph = with_gradients(R"(graph net {
  %x = input() : f32[n,2,3,3]
  %a.w = parameter() : f32[2,2,1,1]
  %a.b = parameter() : f32[2]
  %b.w = parameter() : f32[2,2,3,3]
  %b.b = parameter() : f32[2]
  %a = conv2d(%x, %a.w) {padding=[0,0,0,0]} : f32[n,2,3,3]
  %a.biased = add(%a, %a.b) : f32[n,2,3,3]
  %b = conv2d(%x, %b.w) {padding=[1,1,1,1]} : f32[n,2,3,3]
  %b.biased = add(%b, %b.b) : f32[n,2,3,3]
  %sum = add(%a.biased, %b.biased) : f32[n,2,3,3]
  %y = tanh(%sum) : f32[n,2,3,3]
  %loss = reduce(%y) {mean=true} : f32[]
  output "loss" %loss
})",
                                 {"a.w", "a.b", "b.w", "b.b"});
    EXPECT_EQ(count(graph, "conv2d_backward_data"), 0);  // nobody wants the gradient of the picture
    expect_true_gradients(graph, 2);
}

const char* const kTwoLayers = R"(graph net {
  %x = input() : f32[n,2,5,5]
  %low.w = parameter() : f32[3,2,3,3]
  %low = conv2d(%x, %low.w) : f32[n,3,3,3]
  %low.y = relu(%low) : f32[n,3,3,3]
  %high.w = parameter() : f32[4,3,3,3]
  %high = conv2d(%low.y, %high.w) : f32[n,4,1,1]
  %flat = flatten(%high) : f32[n,4]
  %label = input() : i32[n]
  %cross = softmax_cross_entropy(%flat, %label) : f32[n], f32[n]
  %loss = reduce(%cross:0) {mean=true} : f32[]
  output "loss" %loss
})";

TEST(Differentiate, NothingIsAddedBelowTheLowestTarget) {
    const size_t forward = parse_graph(kTwoLayers, "net.emu").nodes().size();
    Graph graph = with_gradients(kTwoLayers, {"high.w"});
    EXPECT_EQ(appended(graph, forward),
              "loss.gradient = constant()\n"
              "loss.dx = expand(loss.gradient)\n"
              "cross.dscores = softmax_cross_entropy_backward(flat, label, loss.dx)\n"
              "flat.dx = unflatten(cross.dscores)\n"
              "high.dw = conv2d_backward_filter(low.y, flat.dx)\n");
    expect_true_gradients(graph, 3, 4);
}

TEST(Differentiate, AFrozenFilterAboveATargetPassesGradientsOn) {
    Graph graph = with_gradients(kTwoLayers, {"low.w"});
    EXPECT_EQ(count(graph, "conv2d_backward_data"), 1);
    EXPECT_EQ(count(graph, "conv2d_backward_filter"), 1);
    EXPECT_EQ(count(graph, "relu_backward"), 1);
    expect_true_gradients(graph, 3, 4);
}

TEST(Differentiate, BothTargetsShareTheWayDown) {
    Graph graph = with_gradients(kTwoLayers, {"low.w", "high.w"});
    EXPECT_EQ(count(graph, "softmax_cross_entropy_backward"), 1);
    EXPECT_EQ(count(graph, "conv2d_backward_filter"), 2);
    EXPECT_EQ(count(graph, "conv2d_backward_data"), 1);
    expect_true_gradients(graph, 3, 4);
}

TEST(Differentiate, TargetsThatTheLossDoesNotReachHaveNoGradient) {
    Graph graph = parse_graph(R"(graph net {
  %x = input() : f32[n,3]
  %w = parameter() : f32[3]
  %unused = parameter() : f32[3]
  %beside = parameter() : f32[3]
  %a = multiply(%x, %w) : f32[n,3]
  %b = multiply(%x, %beside) : f32[n,3]
  %loss = reduce(%a) {mean=true} : f32[]
  output "loss" %loss
  output "other" %b
})",
                              "net.emu");
    GraphBuilder builder(graph, true);
    std::vector<Value> gradients =
        differentiate(builder, graph.find_output("loss")->value,
                      {graph.find("unused"), graph.find("w"), graph.find("beside")});
    ASSERT_EQ(gradients.size(), 3u);
    EXPECT_FALSE(gradients[0].defined());
    EXPECT_TRUE(gradients[1].defined());
    EXPECT_FALSE(gradients[2].defined());
}

TEST(Differentiate, AnOpWithoutGradientIsNamed) {
    try {
        with_gradients(R"(graph net {
  %x = input() : f32[n,2,4,4]
  %w = parameter() : f32[2]
  %mean = running_average(%w, %w) : f32[2]
  %y = add(%x, %mean) : f32[n,2,4,4]
  %loss = reduce(%y) {mean=true} : f32[]
  output "loss" %loss
})",
                       {"w"});
        FAIL() << "running_average has a gradient";
    } catch (const Error& error) {
        EXPECT_STREQ(error.what(),
                     "error[no_gradient]: 'mean': the op running_average has no gradient\n"
                     "  fix: keep it out of the path from a trained parameter to the loss");
    }
}

}  // namespace
}  // namespace emulsion::test
