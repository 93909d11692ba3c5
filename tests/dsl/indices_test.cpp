// Embeddings and graphs: shapes, nodes, values of worked examples, and the whole message of each
// mistake.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "compiler/graph/text.h"
#include "tests/dsl/dsl_support.h"
#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion {
namespace {

// Without the lines that name files.
std::vector<std::string> without_operands(std::vector<std::string> texts) {
    for (std::string& text : texts) {
        const size_t notes = text.find("\n    operand"), fix = text.find("\n  fix");
        if (notes != std::string::npos) text.erase(notes, fix - notes);
    }
    return texts;
}

TEST(Indices, EmbeddingReadsTheTable) {
    Model m("words");
    const Tensor words = m.indices("words", {4});
    const Tensor x = embedding(words, 3, 2, {.padding_index = 0, .name = "e"});
    EXPECT_EQ(x.shape(), (Shape{2, 4}));
    m.output("y", x);
    EXPECT_EQ(node_text(finished(m), "e"),
              "%e = gather(%e.w, %words) {row=0, ignored=[0]} : f32[n,2,4]");
    EXPECT_EQ(node_text(finished(m), "e.w"),
              "%e.w = parameter() {init=\"normal\", scale=1, fan_in=0, fan_out=0, trained=true, "
              "decay=true} : f32[2,3]");
    EXPECT_EQ(run(m, {{"words", {2, 0, 1, 2}}, {"e.w", {1, 2, 3, 4, 5, 6}}}),
              (Values{3, 0, 2, 3, 6, 0, 5, 6}));
}

TEST(Indices, GatherAndScatterOfRows) {
    Model m("rows");
    const Tensor edges = m.indices("edges", {2, 3});
    const Tensor table = embedding(m.indices("words", {4}), 9, 5);
    const Tensor ends = gather(table, edges, {.row = 1, .padding_index = kNoEdge, .name = "ends"});
    EXPECT_EQ(ends.shape(), (Shape{5, 3}));
    const Tensor sums = scatter_sum(ends, edges, 7, {.name = "sums"});
    EXPECT_EQ(sums.shape(), (Shape{5, 7}));
    m.output("y", sums);
    EXPECT_EQ(node_text(finished(m), "ends"),
              "%ends = gather(%embedding1, %edges) {row=1, ignored=[-1]} : f32[n,5,3]");
    EXPECT_EQ(node_text(finished(m), "sums"),
              "%sums = scatter_sum(%ends, %edges) {columns=7, sum_samples=false, row=0} : "
              "f32[n,5,7]");
}

// A path 0 - 1 - 2 and a vertex 3 by itself; each edge stands there both ways, two are left over.
const Values kPath = {0, 1, 1, 2, -1, -1,  //
                      1, 0, 2, 1, -1, -1};
const Values kVertices = {1, 2, 4, 8};

template <class Layer>
Values on_path(const Layer& layer, Sources weights = {}) {
    Model m("graph");
    const Tensor x = m.input("x", {1, 1, 4}), edges = m.indices("edges", {2, 6});
    m.output("y", layer(reshape(x, {1, 4}), edges));
    weights["x"] = kVertices;
    weights["edges"] = kPath;
    return run(m, weights);
}

TEST(Graphs, PoolingOverNeighbours) {
    const auto pooled = [](Neighbors mode) {
        return on_path([mode](const Tensor& x, const Tensor& edges) {
            return neighbor_pool(x, edges, {.mode = mode});
        });
    };
    EXPECT_EQ(pooled(Neighbors::sum), (Values{2, 5, 2, 0}));
    EXPECT_EQ(pooled(Neighbors::mean), (Values{2, 2.5, 2, 0}));
    EXPECT_EQ(pooled(Neighbors::max), (Values{2, 4, 2, 0}));
}

TEST(Graphs, PoolingOfWholeGraphs) {
    const Values vertices = {1, 2, 4, 8, -1, -2, -4, -8};
    const auto all = [&](Neighbors mode) {
        Model m("graph");
        m.output("y", graph_pool(m.input("x", {2, 4}), {.mode = mode}));
        return run(m, {{"x", vertices}});
    };
    EXPECT_EQ(all(Neighbors::sum), (Values{15, -15}));
    EXPECT_EQ(all(Neighbors::mean), (Values{3.75, -3.75}));
    EXPECT_EQ(all(Neighbors::max), (Values{8, -1}));
    const auto each = [&](Neighbors mode) {
        Model m("graph");
        const Tensor x = m.input("x", {2, 4});
        m.output("y", graph_pool(x, m.indices("graph_of", {4}), 3, {.mode = mode}));
        return run(m, {{"x", vertices}, {"graph_of", {2, 0, 2, -1}}});
    };
    EXPECT_EQ(each(Neighbors::sum), (Values{2, 0, 5, -2, 0, -5}));
    EXPECT_EQ(each(Neighbors::mean), (Values{2, 0, 2.5, -2, 0, -2.5}));
    EXPECT_EQ(each(Neighbors::max), (Values{2, 0, 4, -2, 0, -1}));
}

// Degrees with self-loops are 2, 3, 2, 1; the weight is 3 and the bias 0.5.
TEST(Graphs, ConvolutionOfKipfAndWelling) {
    const auto convolved = [](GraphConvOptions options) {
        options.name = "g";
        Sources weights = {{"g.w", {3}}};
        if (options.bias) weights["g.b"] = {0.5};
        return on_path(
            [&](const Tensor& x, const Tensor& edges) { return graph_conv(x, edges, 1, options); },
            weights);
    };
    const double r6 = 1 / std::sqrt(6.0);
    test::expect_near(convolved({}),
                      {3 * (1 / 2.0 + 2 * r6) + 0.5, 3 * (1 * r6 + 2 / 3.0 + 4 * r6) + 0.5,
                       3 * (2 * r6 + 4 / 2.0) + 0.5, 3 * 8 + 0.5},
                      1e-5);
    EXPECT_EQ(convolved({.normalize = false, .bias = false}), (Values{9, 21, 18, 24}));
    EXPECT_EQ(convolved({.normalize = false, .self_loops = false, .bias = false}),
              (Values{6, 15, 6, 0}));
}

TEST(Graphs, WholeGraphsAndTheGradient) {
    Model m("graphs");
    const Tensor words = m.indices("atoms", {5}), edges = m.indices("edges", {2, 8});
    Tensor x =
        graph_conv(embedding(words, 10, 6, {.padding_index = -1}), edges, 7, {.activation = relu});
    x = neighbor_pool(graph_conv(x, edges, 3), edges, {.mode = Neighbors::max});
    EXPECT_EQ(x.shape(), (Shape{3, 5}));
    x = graph_pool(neighbor_pool(x, edges));
    EXPECT_EQ(x.shape(), Shape{3});
    m.classify(dense(x, 2));
    const Network network = finished(m);
    EXPECT_EQ(parse_network(print(network), "m.emu"), network);
}

TEST(Indices, MistakesNameBoth) {
    Model m("m");
    const Tensor x = m.input("image", {3, 4, 5});
    const Tensor words = m.indices("words", {6});
    m.indices("none", {});
    m.indices("deep", {2, 3, 4});
    embedding(x, 10, 3);
    embedding(words, 0, 3);
    embedding(words, 10, -1);
    embedding(words, 10, 3, {.init = Init::he()});
    gather(words, words);
    graph_conv(x, words, 3);
    graph_conv(reshape(x, {3, 20}), words, 3);
    neighbor_pool(reshape(x, {3, 20}), words);
    graph_pool(x, {.mode = Neighbors::max});
    graph_pool(reshape(x, {3, 20}), words, 0);
    graph_pool(reshape(x, {3, 20}), words, 2);
    m.classify(dense(flatten(x), 2));
    const std::string table_fix =
        "\n  fix: use Init::zeros(), ones(), constant(value), normal(deviation) or uniform(bound)";
    EXPECT_EQ(
        without_operands(mistakes_of(m)),
        (std::vector<std::string>{
            "error[shape]: indices 'none': [] is no shape of indices\n"
            "  fix: give {length} or {rows, length}, each from 1 to 1048576",
            "error[shape]: indices 'deep': [2,3,4] is no shape of indices\n"
            "  fix: give {length} or {rows, length}, each from 1 to 1048576",
            "error[index]: gather 'embedding1': the index must be i32[n,length] or "
            "i32[n,rows,length], but is f32[n,3,4,5]\n"
            "  fix: give it an input of indices",
            "error[attribute]: embedding 'embedding2': it has 0 words, but must have 1 or more\n"
            "  fix: give the number of words",
            "error[attribute]: embedding 'embedding3': it has -1 numbers for each word, but must "
            "have 1 or more\n"
            "  fix: give the number of numbers for each word",
            "error[initializer]: embedding 'embedding4': the table cannot start by 'he', which "
            "goes by the number of inputs of a layer" +
                table_fix,
            "error[rank]: gather 'gather1': the columns must be a parameter (channels, columns) "
            "or of each sample (n, channels, columns), but are i32[n,6]\n"
            "  fix: give it a tensor with these two axes",
            "error[rank]: graph_conv 'graph_conv1': the vertices must be (n, features, vertices), "
            "but are f32[n,3,4,5]\n"
            "  fix: reshape them to {features, vertices}",
            "error[index]: graph_conv 'graph_conv2': the edges must be i32[n,2,edges], but are "
            "i32[n,6]\n"
            "  fix: declare them with m.indices(\"edges\", {2, edges})",
            "error[index]: neighbor_pool 'neighbor_pool1': the edges must be i32[n,2,edges], but "
            "are i32[n,6]\n"
            "  fix: declare them with m.indices(\"edges\", {2, edges})",
            "error[rank]: graph_pool 'graph_pool1': the vertices must be (n, features, vertices), "
            "but are f32[n,3,4,5]\n"
            "  fix: reshape them to {features, vertices}",
            "error[attribute]: graph_pool 'graph_pool2': it has 0 graphs, but must have 1 or more\n"
            "  fix: give the number of graphs",
            "error[shape]: scatter_sum 'graph_pool3.sum': the values have 20 columns, but there "
            "are 6 indices\n"
            "  fix: give it 6 columns"}));
}

// What an op makes of them, even a view, is not checked.
TEST(Indices, AreInputs) {
    const auto fault = [](const std::string& text) {
        try {
            parse_network(text, "m.emu");
        } catch (const Error& error) {
            return std::string(error.what());
        }
        return std::string();
    };
    EXPECT_EQ(fault(R"(network m
graph m {
  %words = input() : i32[n,2,3]
  %w = parameter() {init="normal", scale=1} : f32[4,9]
  %other = view(%words) {shape=[2,3]} : i32[n,2,3]
  %x = gather(%w, %other) : f32[n,4,3]
  output "x" %x
}
)"),
              "m.emu:6: error[index]: gather 'x' takes its indices from view 'other', but only "
              "those of an input are checked\n"
              "  fix: give it an input of type i32");
}

}  // namespace
}  // namespace emulsion
