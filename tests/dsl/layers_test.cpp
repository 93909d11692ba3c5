// Layers beside convolution and pooling: what they write, their names and shapes, and what they
// refuse.
#include <gtest/gtest.h>

#include "compiler/ops/sources.h"
#include "dsl/summary.h"
#include "tests/dsl/dsl_support.h"

namespace emulsion {
namespace {

using Lines = std::vector<std::string>;

// The op of a node, and what it reads.
std::string call_of(const Network& network, const std::string& name) {
    const std::string text = node_text(network, name);
    const size_t begin = text.find("= ") + 2;
    return text.substr(begin, text.find(" : ") - begin);
}

// The network that hands `y` out.
Network network_of(Model& m, const Tensor& y) {
    m.output("y", y);
    return finished(m);
}

TEST(Numbers, BesideTensors) {
    Model m("m");
    Tensor x = m.input("x", {4});
    const Tensor a = x + 1.5, b = 2 - a, c = a * b / 4, d = 1 / c, e = d - 3, f = -e, g = 2 * f;
    const Network network = network_of(m, g / a);
    EXPECT_EQ(call_of(network, "shift1"), "shift(%x) {term=1.5}");
    EXPECT_EQ(call_of(network, "negate1"), "negate(%shift1)");
    EXPECT_EQ(call_of(network, "shift2"), "shift(%negate1) {term=2}");
    EXPECT_EQ(call_of(network, "multiply1"), "multiply(%shift1, %shift2)");
    EXPECT_EQ(call_of(network, "scale1"), "scale(%multiply1) {factor=0.25}");
    EXPECT_EQ(call_of(network, "reciprocal1"), "reciprocal(%scale1) {numerator=1}");
    EXPECT_EQ(call_of(network, "shift3"), "shift(%reciprocal1) {term=-3}");
    EXPECT_EQ(call_of(network, "negate2"), "negate(%shift3)");
    EXPECT_EQ(call_of(network, "scale2"), "scale(%negate2) {factor=2}");
    EXPECT_EQ(call_of(network, "divide1"), "divide(%scale2, %shift1)");
}

TEST(Numbers, AreFinite) {
    Model m("m");
    Tensor x = m.input("x", {4});
    m.output("x", relu(x));
    const int line = __LINE__ + 1;
    Tensor a = x / 0;
    a = x + 1e39;
    const FinishedModel result = finish(m);
    ASSERT_EQ(result.mistakes.size(), 2U);
    EXPECT_EQ(result.mistakes[0].message, "scale 'scale1': it is divided by 0");
    EXPECT_EQ(result.mistakes[0].where.line, line);
    EXPECT_EQ(result.mistakes[1].message,
              "shift 'shift1': the term is 1e+39, which is no number of 32-bit floats");
}

TEST(Activation, OfALayer) {
    Model m("m");
    Tensor x = conv(m.input("image", {2, 4, 4}), 3, {.activation = relu, .name = "first"});
    x = conv(x, 3, {.kernel = 1, .bias = false, .activation = gelu});
    x = depthwise_conv(x, {.kernel = 1, .activation = tanh});
    x = dense(flatten(x), 2, {.activation = [](const Tensor& t) { return t * 2; }});
    const Network network = network_of(m, x);
    EXPECT_EQ(call_of(network, "first.activation"), "relu(%first.biased)");
    EXPECT_EQ(call_of(network, "conv2.activation"), "gelu(%conv2) {approximate=false}");
    EXPECT_EQ(call_of(network, "depthwise_conv1.activation"), "tanh(%depthwise_conv1.biased)");
    EXPECT_EQ(call_of(network, "scale1"), "scale(%dense1.biased) {factor=2}");
}

TEST(Activation, ThatIsAMistakeSilencesWhatFollows) {
    Model m("m"), other("other");
    const Tensor wrong = other.input("x", {2});
    Tensor x = m.input("x", {4});
    m.output("x", relu(x));
    x = dense(x, 2, {.activation = [&](const Tensor&) { return wrong; }});
    x = dense(m.input("z", {4}), 2, {.activation = global_average_pool});
    m.output("y", relu(x));
    const Lines mistakes = mistakes_of(m);
    ASSERT_EQ(mistakes.size(), 2U);
    EXPECT_NE(mistakes[0].find("error[activation]: dense 'dense1': the function that is its "
                               "activation returns another model's tensor"),
              std::string::npos)
        << mistakes[0];
    EXPECT_NE(mistakes[1].find("global_average_pool 'dense2.activation'"), std::string::npos)
        << mistakes[1];
}

TEST(Prelu, HasASlopeForEachChannelOrOne) {
    Model m("m");
    Tensor x = prelu(m.input("image", {3, 4, 4}));
    x = prelu(flatten(x), {.shared = true, .init = 0.1, .name = "one"});
    x = prelu(x);
    const Network network = network_of(m, x);
    EXPECT_NE(node_text(network, "prelu1.slope").find("init=\"constant\", scale=0.25"),
              std::string::npos);
    EXPECT_NE(node_text(network, "prelu1.slope").find(": f32[3]"), std::string::npos);
    EXPECT_NE(node_text(network, "one.slope").find(": f32[]"), std::string::npos);
    EXPECT_EQ(call_of(network, "prelu3"), "prelu(%prelu3.plain, %prelu3.slope)");
}

TEST(Parameter, BroadcastsAndGoesByItsName) {
    Model m("m");
    Tensor x = m.input("image", {3, 4, 5});
    const Tensor gain = m.parameter("gain", {}, Init::ones());
    const Tensor shade = m.parameter("shade", {3});
    const Tensor place = m.parameter("place", {1, 4, 5}, Init::uniform(0.5));
    EXPECT_EQ(place.shape(), (Shape{1, 4, 5}));
    EXPECT_EQ(m.parameter("of_lines", {3, 4}).shape(), (Shape{3, 4}));
    EXPECT_EQ(m.parameter("of_volumes", {1, 2, 3, 4}).shape(), (Shape{1, 2, 3, 4}));
    Tensor y = (x * gain + shade) * place;
    EXPECT_EQ(y.shape(), (Shape{3, 4, 5}));
    EXPECT_EQ((shade - x).shape(), (Shape{3, 4, 5}));
    m.freeze("gain");
    m.no_decay("sha*");
    const Network network = network_of(m, y);
    const auto parameter = [&](const char* name) {
        return *network.graph.op_as<Parameter>(network.graph.find(name));
    };
    EXPECT_FALSE(parameter("gain").trained);
    EXPECT_EQ(parameter("gain").init, "ones");
    EXPECT_TRUE(parameter("shade").trained);
    EXPECT_FALSE(parameter("shade").decay);
    EXPECT_TRUE(parameter("place").decay);
    EXPECT_EQ(parameter("place").type(), plain_type({20}));
    std::string rows;
    for (const LayerRow& row : layer_rows(network)) {
        if (row.parameters > 0)
            rows += row.name + " " + row.op + " " + to_string(row.output) + "\n";
    }
    EXPECT_EQ(rows, "gain parameter f32[]\nshade parameter f32[3]\nplace parameter f32[20]\n");
}

TEST(Parameter, RefusesShapesAndInitialisers) {
    Model m("m");
    m.output("x", relu(m.input("x", {4})));
    m.parameter("a", {3, 4, 5, 6, 7});
    m.parameter("b", {0});
    m.parameter("c", {3}, Init::he());
    EXPECT_EQ(mistakes_of(m),
              (Lines{"error[shape]: parameter 'a': [3,4,5,6,7] is no shape of a parameter\n"
                     "  fix: give {}, {channels}, or channels and one to three extents behind "
                     "them, each from 1 to 1048576",
                     "error[shape]: parameter 'b': [0] is no shape of a parameter\n"
                     "  fix: give {}, {channels}, or channels and one to three extents behind "
                     "them, each from 1 to 1048576",
                     "error[initializer]: parameter 'c': the parameter cannot start by 'he', which "
                     "goes by the number of inputs of a layer\n"
                     "  fix: use Init::zeros(), ones(), constant(value), normal(deviation) or "
                     "uniform(bound)"}));
}

TEST(Composites, NameTheirParts) {
    Model m("m");
    Tensor x = m.input("image", {8, 4, 4});
    x = squeeze_excitation(x, {.ratio = 4});
    x = highway(x, conv(x, 8, {.padding = same}));
    x = maxout(x, 5, {.pieces = 3, .name = "peaks"});
    EXPECT_EQ(x.shape(), (Shape{5, 4, 4}));
    x = rbf(flatten(x), 10);
    EXPECT_EQ(x.shape(), (Shape{10}));
    const Network network = network_of(m, maxout(x, 4));
    EXPECT_EQ(call_of(network, "squeeze_excitation1"),
              "multiply(%image, %squeeze_excitation1.excite.activation)");
    EXPECT_NE(node_text(network, "squeeze_excitation1.squeeze.w").find(": f32[2,8]"),
              std::string::npos);
    EXPECT_EQ(call_of(network, "highway1"), "add(%highway1.taken, %highway1.carried)");
    EXPECT_NE(node_text(network, "highway1.gate.b").find("init=\"constant\", scale=-2"),
              std::string::npos);
    EXPECT_EQ(call_of(network, "peaks"), "maximum(%peaks.largest2, %peaks.piece3.biased)");
    EXPECT_NE(node_text(network, "rbf1.centers").find("init=\"uniform\", scale=1"),
              std::string::npos);
    EXPECT_EQ(call_of(network, "maxout2"),
              "maximum(%maxout2.piece1.biased, %maxout2.piece2.biased)");
}

TEST(Composites, RefuseWhatCannotBe) {
    Model m("m");
    Tensor map = m.input("image", {8, 4, 4}), row = m.input("row", {8});
    m.output("map", relu(map));
    maxout(row, 4, {.pieces = 1});
    squeeze_excitation(row);
    squeeze_excitation(map, {.ratio = 0});
    highway(map, row);
    local_response_norm(map, {.size = 0});
    group_norm(map, 3);
    const Lines begins = {
        "error[attribute]: maxout 'maxout1': it has 1 pieces, but must have 2 or more\n",
        "error[rank]: global_average_pool 'squeeze_excitation1.mean': the input must be a map",
        "error[attribute]: dense 'squeeze_excitation2.squeeze': it has 0 units",
        "error[attribute]: local_response_norm 'local_response_norm1': the size is 0",
        "error[groups]: group_norm 'group_norm1': 8 channels cannot be cut into 3 equal groups"};
    const Lines mistakes = mistakes_of(m);
    ASSERT_EQ(mistakes.size(), begins.size());
    for (size_t i = 0; i < begins.size(); i++)
        EXPECT_EQ(mistakes[i].find(begins[i]), 0U) << mistakes[i];
}

TEST(Normalisation, WritesWhatItSays) {
    Model m("m");
    Tensor x = m.input("image", {8, 4, 4});
    x = layer_norm(group_norm(x, 4, {.epsilon = 1e-3}), {.epsilon = 0.25});
    x = local_response_norm(local_response_norm(x), {.size = 4, .alpha = 2, .average = true});
    const Network network = network_of(m, x);
    EXPECT_NE(call_of(network, "group_norm1").find("{groups=4, epsilon=0.001}"), std::string::npos);
    EXPECT_NE(call_of(network, "layer_norm1").find("{epsilon=0.25}"), std::string::npos);
    EXPECT_EQ(call_of(network, "local_response_norm1.sum"),
              "channel_sum(%local_response_norm1.square) {before=2, after=2}");
    EXPECT_EQ(call_of(network, "local_response_norm1.factor"),
              "power(%local_response_norm1.divisor) {exponent=-0.75}");
    EXPECT_EQ(call_of(network, "local_response_norm2.sum"),
              "channel_sum(%local_response_norm2.square) {before=2, after=1}");
    EXPECT_EQ(call_of(network, "local_response_norm2.part"),
              "scale(%local_response_norm2.sum) {factor=0.5}");
}

}  // namespace
}  // namespace emulsion
