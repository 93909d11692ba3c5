// The diagonal of the Gauss-Newton matrix on small graphs, against the squares of numeric
// derivatives and second differences of the loss, and the steps that Levenberg-Marquardt makes.
#include "compiler/autodiff/curvature.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "compiler/autodiff/training_step.h"
#include "compiler/graph/text.h"
#include "tests/support/graph_results.h"
#include "tests/support/message_of.h"

namespace emulsion::test {
namespace {

using reference::Sources;
using reference::Tensor;

// The graph with the curvature of its output "loss" along `target` as the output "curvature".
Graph with_curvature(const std::string& text, const std::string& target) {
    Graph graph = parse_graph(text, "net.emu");
    verify(graph);
    GraphBuilder builder(graph, /*keep_results=*/true);
    const std::vector<Value> found =
        curvature(builder, graph.find_output("loss")->value, {graph.find(target)});
    EXPECT_EQ(found.size(), 1u);
    if (found.at(0).defined()) builder.output("curvature", found[0]);
    Graph result = builder.build();
    verify(result);
    return result;
}

Sources scalars_set(const Graph& graph, Sources sources) {
    for (int i = 0; i < static_cast<int>(graph.nodes().size()); i++) {
        const std::string kind(graph.node(i).op->kind());
        if (kind == "scalar") sources[graph.node(i).name].values = {3};
    }
    return sources;
}

// What becomes of the result where element i of the source is moved by `step`.
Tensor moved(const Graph& graph, Sources sources, const std::string& source, size_t i, double step,
             int64_t samples, const std::string& result) {
    sources.at(source).values[i] += step;
    return results_of(graph, sources, samples).at("output " + result);
}

// The loss is the sum of the squares of the output "y", which each element of %p reaches by one way
// in each sample: its curvature is 2 * the sum of (dy / dp)^2.
void expect_squares(const std::string& text) {
    SCOPED_TRACE(text);
    constexpr int64_t kSamples = 2;
    const Graph graph = with_curvature(text, "p");
    const Sources sources = scalars_set(graph, random_sources(graph, kSamples, 3));
    Tensor numeric = sources.at("p");
    for (size_t i = 0; i < numeric.values.size(); i++) {
        const Tensor above = moved(graph, sources, "p", i, 1e-5, kSamples, "y");
        const Tensor below = moved(graph, sources, "p", i, -1e-5, kSamples, "y");
        numeric.values[i] = 0;
        for (size_t k = 0; k < above.values.size(); k++) {
            const double slope = (above.values[k] - below.values[k]) / 2e-5;
            numeric.values[i] += 2 * slope * slope;
        }
    }
    EXPECT_LT(
        relative_difference(results_of(graph, sources, kSamples).at("output curvature"), numeric),
        1e-6);
}

// The scores are linear in %p: its curvature is the second difference of the loss.
void expect_second_difference(const std::string& text) {
    SCOPED_TRACE(text);
    constexpr int64_t kSamples = 3;
    const Graph graph = with_curvature(text, "p");
    const Sources sources = random_sources(graph, kSamples, 5, 4);
    const double middle = results_of(graph, sources, kSamples).at("output loss").values[0];
    Tensor numeric = sources.at("p");
    for (size_t i = 0; i < numeric.values.size(); i++) {
        const double above = moved(graph, sources, "p", i, 1e-3, kSamples, "loss").values[0];
        const double below = moved(graph, sources, "p", i, -1e-3, kSamples, "loss").values[0];
        numeric.values[i] = (above - 2 * middle + below) / 1e-6;
    }
    EXPECT_LT(
        relative_difference(results_of(graph, sources, kSamples).at("output curvature"), numeric),
        1e-5);
}

// %map is an input plus the parameter %p; `nodes` make %y of it.
std::string of_a_map(const std::string& nodes, const std::string& type) {
    return fmt::format(R"(graph net {{
  %x = input() : f32[n,4,4,6]
  %p = parameter() : f32[4,4,6]
  %map = add_map(%x, %p) : f32[n,4,4,6]
{}
  %square = multiply(%y, %y) : {}
  %loss = reduce(%square) : f32[]
  output "loss" %loss
  output "y" %y
}})",
                       nodes, type);
}

TEST(Curvature, SquaresOfElementwiseDerivatives) {
    for (const char* op :
         {"abs", "elu", "exp", "gelu", "hard_sigmoid", "hard_swish", "leaky_relu", "negate", "relu",
          "relu6", "scale {factor=-3}", "shift {term=2}", "sigmoid", "silu", "softplus", "tanh"}) {
        const std::string text(op);
        const size_t space = text.find(' ');
        expect_squares(
            of_a_map(fmt::format("  %y = {}(%map){} : f32[n,4,4,6]", text.substr(0, space),
                                 space == std::string::npos ? "" : text.substr(space)),
                     "f32[n,4,4,6]"));
    }
    // Of values above 0.
    for (const char* op : {"log", "sqrt", "reciprocal"}) {
        expect_squares(of_a_map(fmt::format(R"(  %e = exp(%map) : f32[n,4,4,6]
  %y = {}(%e) : f32[n,4,4,6])",
                                            op),
                                "f32[n,4,4,6]"));
    }
}

TEST(Curvature, SquaresOfMovedAndSummedElements) {
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"average_pool(%map) {window=[2,3], stride=[2,3]}", "f32[n,4,2,2]"},
        {"average_pool(%map) {window=[3,3], stride=[2,2]}", "f32[n,4,1,2]"},
        {"average_pool(%map) {window=[3,3], stride=[1,1], padding=[1,1,1,1], count_padding=true}",
         "f32[n,4,4,6]"},
        {"reduce(%map) {keep_samples=true, keep_channels=true, mean=true}", "f32[n,4]"},
        {"reduce(%map) {keep_samples=true, keep_channels=true}", "f32[n,4]"},
        {"reduce(%map) {keep_samples=true}", "f32[n]"},
        {"reduce_axes(%map) {axes=[0], mean=true}", "f32[n,1,4,6]"},
        {"reduce_axes(%map) {axes=[1,2]}", "f32[n,4,1,1]"},
        {"pad(%map) {before=[0,1,2], after=[0,0,1]}", "f32[n,4,5,9]"},
        {"pad(%map) {before=[0,1,2], after=[0,0,1], border=\"reflect\"}", "f32[n,4,5,9]"},
        {"crop(%map) {begin=[0,1,0], count=[4,3,3], step=[1,1,2]}", "f32[n,4,3,3]"},
        {"slice(%map) {begin=1, count=2}", "f32[n,2,4,6]"},
        {"concatenate(%map, %x)", "f32[n,8,4,6]"},
        {"subtract(%x, %map)", "f32[n,4,4,6]"},
        {"multiply(%x, %map)", "f32[n,4,4,6]"},
        {"multiply(%map, %map)", "f32[n,4,4,6]"},
        {"depth_to_space(%map) {block=[2,2]}", "f32[n,1,8,12]"},
        {"space_to_depth(%map) {block=[2,2]}", "f32[n,16,2,3]"},
        {"transpose(%map) {order=[0,2,1]}", "f32[n,4,6,4]"},
        {"channel_shuffle(%map) {groups=2}", "f32[n,4,4,6]"},
        {"flip(%map) {axes=[0,2]}", "f32[n,4,4,6]"},
    };
    for (const auto& [op, type] : cases)
        expect_squares(of_a_map("  %y = " + op + " : " + type, type));
    expect_squares(of_a_map(
        R"(  %pooled = max_pool(%map) {window=[3,3], stride=[1,2]} : f32[n,4,2,2], u8[n,4,2,2]
  %y = scale(%pooled:0) {factor=1} : f32[n,4,2,2])",
        "f32[n,4,2,2]"));
}

TEST(Curvature, DropoutScalesWhatItLeaves) {
    expect_squares(R"(graph net {
  %seed_low = scalar() {name="seed_low"} : i32[]
  %seed_high = scalar() {name="seed_high"} : i32[]
  %step_low = scalar() {name="step_low"} : i32[]
  %step_high = scalar() {name="step_high"} : i32[]
  %x = input() : f32[n,12]
  %p = parameter() : f32[12]
  %features = add(%x, %p) : f32[n,12]
  %y = dropout(%features, %seed_low, %seed_high, %step_low, %step_high) {rate=0.5} : f32[n,12]
  %square = multiply(%y, %y) : f32[n,12]
  %loss = reduce(%square) : f32[]
  output "loss" %loss
  output "y" %y
})");
}

TEST(Curvature, OfContractions) {
    // Through them, to what they read.
    expect_squares(of_a_map(R"(  %w = parameter() : f32[5,4,3,3]
  %y = conv2d(%map, %w) {padding=[1,0,1,0], stride=[1,2]} : f32[n,5,3,3])",
                            "f32[n,5,3,3]"));
    expect_squares(of_a_map(R"(  %w = parameter() : f32[4,2,3,3]
  %y = conv2d(%map, %w) {groups=2} : f32[n,4,2,4])",
                            "f32[n,4,2,4]"));
    expect_squares(of_a_map(R"(  %flat = flatten(%map) : f32[n,96]{4,4,6}
  %w = parameter() : f32[5,96]{4,4,6}
  %y = dense(%flat, %w) : f32[n,5])",
                            "f32[n,5]"));
    expect_squares(of_a_map(R"(  %flat = flatten(%map) : f32[n,96]{4,4,6}
  %w = parameter() : f32[5,96]{4,4,6}
  %y = squared_distance(%flat, %w) : f32[n,5])",
                            "f32[n,5]"));
    // Of their weights, each of which a result reads once.
    const auto weights = [](const std::string& p, const std::string& nodes,
                            const std::string& type) {
        return fmt::format(R"(graph net {{
  %x = input() : f32[n,4,3,3]
  %p = parameter() : {}
{}
  %square = multiply(%y, %y) : {}
  %loss = reduce(%square) : f32[]
  output "loss" %loss
  output "y" %y
}})",
                           p, nodes, type);
    };
    expect_squares(weights("f32[5,4,3,3]",
                           "  %y = conv2d(%x, %p) {padding=[1,1,1,1]} : f32[n,5,3,3]",
                           "f32[n,5,3,3]"));
    expect_squares(weights("f32[4]", "  %y = multiply(%x, %p) : f32[n,4,3,3]", "f32[n,4,3,3]"));
    expect_squares(weights("f32[4]", "  %y = add(%x, %p) : f32[n,4,3,3]", "f32[n,4,3,3]"));
    const std::string flat = "  %flat = flatten(%x) : f32[n,36]{4,3,3}\n";
    expect_squares(
        weights("f32[5,36]{4,3,3}", flat + "  %y = dense(%flat, %p) : f32[n,5]", "f32[n,5]"));
    expect_squares(weights("f32[5,36]{4,3,3}",
                           flat + "  %y = squared_distance(%flat, %p) : f32[n,5]", "f32[n,5]"));
    expect_squares(weights("f32[4,1,3,3]",
                           "  %y = conv2d(%x, %p) {padding=[1,1,1,1], groups=4} : f32[n,4,3,3]",
                           "f32[n,4,3,3]"));
    expect_squares(weights(
        "f32[3,1,3,3]",
        R"(  %w = connect_filter(%p) {filters=2, channels=4, table=[1,0,0,1,0,0,1,0]} : f32[2,4,3,3]
  %y = conv2d(%x, %w) {padding=[1,1,1,1]} : f32[n,2,3,3])",
        "f32[n,2,3,3]"));
}

// `nodes` make %loss of the %scores.
std::string of_scores(const std::string& nodes) {
    return fmt::format(R"(graph net {{
  %x = input() : f32[n,5]
  %p = parameter() : f32[4,5]
  %scores = dense(%x, %p) : f32[n,4]
{}
  output "loss" %loss
}})",
                       nodes);
}

TEST(Curvature, OfLosses) {
    for (const char* attributes : {"", " {label_smoothing=0.2}"}) {
        expect_second_difference(of_scores(fmt::format(R"(  %label = input() : i32[n]
  %entropy = softmax_cross_entropy(%scores, %label){} : f32[n], f32[n]
  %loss = reduce(%entropy:0) {{mean=true}} : f32[])",
                                                       attributes)));
    }
    for (const char* attributes : {"{class_weights=[1,2,0.5,3]}", "{ignored=[1]}",
                                   "{class_weights=[1,2,0.5,3], ignored=[2]}"}) {
        expect_second_difference(of_scores(fmt::format(R"(  %label = input() : i32[n]
  %entropy = softmax_cross_entropy(%scores, %label) {0} : f32[n], f32[n]
  %sum = reduce(%entropy:0) : f32[]
  %weight = label_weight(%label) {0} : f32[n]
  %weights = reduce(%weight) : f32[]
  %loss = weighted_mean(%sum, %weights) : f32[])",
                                                       attributes)));
    }
    expect_second_difference(of_scores(R"(  %target = input() : f32[n,4]
  %share = softmax(%target) : f32[n,4]
  %entropy = distribution_cross_entropy(%scores, %share) {label_smoothing=0.1} : f32[n]
  %loss = reduce(%entropy) {mean=true} : f32[])"));
    for (const char* attributes : {"", " {positive_weight=3}"}) {
        expect_second_difference(of_scores(fmt::format(R"(  %target = input() : f32[n,4]
  %share = sigmoid(%target) : f32[n,4]
  %entropy = binary_cross_entropy(%scores, %share){} : f32[n,4]
  %loss = reduce(%entropy) {{mean=true}} : f32[])",
                                                       attributes)));
    }
    expect_second_difference(of_scores(R"(  %target = input() : f32[n,4]
  %apart = subtract(%target, %scores) : f32[n,4]
  %square = multiply(%apart, %apart) : f32[n,4]
  %mean = reduce(%square) {mean=true} : f32[]
  %loss = scale(%mean) {factor=1.5} : f32[])"));
}

// The penalty of LeNet-5: the loss is linear in distances, which bend.
TEST(Curvature, OfDistancesThemselves) {
    for (const char* operands : {"%x, %p", "%moved, %centers"}) {
        const bool is_center = operands[1] == 'x';
        expect_second_difference(fmt::format(R"(graph net {{
  %x = input() : f32[n,5]
  %p = parameter() : {}
  %centers = parameter() : f32[4,5]
  {}
  %apart = squared_distance({}) : f32[n,4]
  %loss = reduce(%apart) {{mean=true}} : f32[]
  output "loss" %loss
}})",
                                             is_center ? "f32[4,5]" : "f32[5]",
                                             is_center ? "" : "%moved = add(%x, %p) : f32[n,5]",
                                             operands));
    }
}

TEST(Curvature, TakesWaysAsIndependent) {  // y = 3 p by two ways: 1 + 4 in place of 9
    const Graph graph = with_curvature(R"(graph net {
  %x = input() : f32[n,1]
  %p = parameter() : f32[1]
  %a = add(%x, %p) : f32[n,1]
  %b = scale(%a) {factor=2} : f32[n,1]
  %y = add(%a, %b) : f32[n,1]
  %square = multiply(%y, %y) : f32[n,1]
  %loss = reduce(%square) : f32[]
  output "loss" %loss
})",
                                       "p");
    const GraphResults results = results_of(graph, random_sources(graph, 1), 1);
    EXPECT_EQ(results.at("output curvature").values, std::vector<double>{2 * (1 + 4)});
}

TEST(Curvature, IsNeverNegative) {
    const Graph graph = with_curvature(R"(graph net {
  %x = input() : f32[n,5]
  %p = parameter() : f32[5]
  %moved = add(%x, %p) : f32[n,5]
  %bent = tanh(%moved) : f32[n,5]
  %centers = parameter() : f32[4,5]
  %apart = squared_distance(%bent, %centers) : f32[n,4]
  %scores = negate(%apart) : f32[n,4]
  %label = input() : i32[n]
  %entropy = softmax_cross_entropy(%scores, %label) : f32[n], f32[n]
  %loss = reduce(%entropy:0) {mean=true} : f32[]
  output "loss" %loss
})",
                                       "p");
    for (uint64_t seed = 1; seed <= 20; seed++) {
        const Sources sources = random_sources(graph, 3, seed, 4);
        const GraphResults results = results_of(graph, sources, 3);
        for (double value : results.at("output curvature").values) EXPECT_GE(value, 0);
    }
}

TEST(Curvature, RefusesWhatItHasNoRuleFor) {
    const auto error = [](const std::string& nodes, const std::string& type) {
        return message_of([&] { with_curvature(of_a_map(nodes, type), "p"); });
    };
    const std::string fix =
        "\n  fix: keep it out of the way from a trained parameter to the loss, or choose another "
        "optimizer";
    EXPECT_EQ(error("  %y = softmax(%map) : f32[n,4,4,6]", "f32[n,4,4,6]"),
              "error[curvature]: 'y': the op softmax does not hand second derivatives on, which "
              "the optimizer levenberg_marquardt needs" +
                  fix);
    EXPECT_EQ(error("  %y = average_pool(%map) {window=[3,3], stride=[1,1], padding=[1,1,1,1]} : "
                    "f32[n,4,4,6]",
                    "f32[n,4,4,6]"),
              "error[curvature]: 'y': a mean of windows of which some hang over the border "
              "does not hand second derivatives on, which the optimizer levenberg_marquardt needs" +
                  fix);
    EXPECT_EQ(error("  %y = reduce(%map) {keep_channels=true, mean=true} : f32[4]", "f32[4]"),
              "error[curvature]: 'y': a mean over samples does not hand second "
              "derivatives on, which the optimizer levenberg_marquardt needs" +
                  fix);
    EXPECT_EQ(message_of([&] {
                  with_curvature(of_scores(R"(  %label = input() : i32[n]
  %entropy = softmax_cross_entropy(%scores, %label) {label_smoothing=0.1, class_weights=[1,2,3,4]} : f32[n], f32[n]
  %loss = reduce(%entropy:0) : f32[])"),
                                 "p");
              }),
              "error[curvature]: 'entropy': a loss with both label smoothing and class "
              "weights does not hand second derivatives on, which the optimizer "
              "levenberg_marquardt needs" +
                  fix);
}

// Steps

constexpr const char* kParabolas = R"(graph net {
  %x = input() : f32[n,3]
  %target = input() : f32[n,3]
  %w = parameter() : f32[3]
  %y = multiply(%x, %w) : f32[n,3]
  %apart = subtract(%y, %target) : f32[n,3]
  %square = multiply(%apart, %apart) : f32[n,3]
  %loss = reduce(%square) {mean=true} : f32[]
  output "loss" %loss
  output "y" %y
})";

TEST(LevenbergMarquardt, OneStepLandsOnTheMinimumOfAQuadratic) {
    constexpr int64_t kSamples = 4;
    const Network network = parse_network(
        std::string("network net\noptimizer levenberg_marquardt {rho=0, damping=1e-30}\n") +
            kParabolas,
        "net.emu");
    const Graph graph = training_step(network);
    Sources sources = random_sources(graph, kSamples, 2);
    sources["curvature.correction"].values = {0};
    sources["learning_rate"].values = {1};
    const Tensor w = results_of(graph, sources, kSamples).at("update w");
    for (int64_t i = 0; i < 3; i++) {  // the least squares of each weight by itself
        double product = 0, square = 0;
        for (int64_t n = 0; n < kSamples; n++) {
            product += sources["x"].at(n, i) * sources["target"].at(n, i);
            square += sources["x"].at(n, i) * sources["x"].at(n, i);
        }
        EXPECT_NEAR(w.values[static_cast<size_t>(i)], product / square, 1e-9);
    }
}

// The average of the curvatures, its bias corrected, weight decay in gradient and curvature.
TEST(LevenbergMarquardt, FollowsItsFormula) {
    constexpr int64_t kSamples = 2;
    constexpr double kRho = 0.75, kDamping = 0.5, kDecay = 0.25, kRate = 0.125;
    const Network network = parse_network(
        fmt::format("network net\noptimizer levenberg_marquardt {{rho={}, damping={}, "
                    "weight_decay={}}}\n{}",
                    kRho, kDamping, kDecay, kParabolas),
        "net.emu");
    const Graph graph = training_step(network);
    Sources sources = random_sources(graph, kSamples, 2);
    sources["curvature.correction"].values = {0};
    sources["w.curvature"].values = {0, 0, 0};
    sources["learning_rate"].values = {kRate};
    std::vector<double> w = sources["w"].values, average(3);
    for (int step = 1; step <= 4; step++) {
        for (const char* name : {"x", "target"})
            sources[name] = random_sources(graph, kSamples, static_cast<uint64_t>(step)).at(name);
        const GraphResults results = results_of(graph, sources, kSamples);
        for (size_t i = 0; i < 3; i++) {
            double gradient = kDecay * w[i], curvature = 0;
            for (int64_t n = 0; n < kSamples; n++) {
                const double x = sources["x"].at(n, static_cast<int64_t>(i));
                const double target = sources["target"].at(n, static_cast<int64_t>(i));
                gradient += 2 * x * (x * w[i] - target) / (3 * kSamples);
                curvature += 2 * x * x / (3 * kSamples);
            }
            average[i] = kRho * average[i] + (1 - kRho) * curvature;
            const double corrected = average[i] / (1 - std::pow(kRho, step));
            w[i] -= kRate * gradient / (corrected + kDecay + kDamping);
            EXPECT_NEAR(results.at("update w").values[i], w[i], 1e-12) << step;
            EXPECT_NEAR(results.at("update w.curvature").values[i], average[i], 1e-12) << step;
        }
        for (const char* name : {"w", "w.curvature", "curvature.correction"})
            sources[name] = results.at(std::string("update ") + name);
    }
}

TEST(LevenbergMarquardt, RefusesALossWithoutCurvature) {
    const Network network = parse_network(R"(network net
optimizer levenberg_marquardt
graph net {
  %x = input() : f32[n,3]
  %w = parameter() : f32[3]
  %y = multiply(%x, %w) : f32[n,3]
  %loss = reduce(%y) {mean=true} : f32[]
  output "loss" %loss
  output "y" %y
})",
                                          "net.emu");
    EXPECT_EQ(message_of([&] { training_step(network); }),
              "error[curvature]: the loss is linear along 'w', as far as the optimizer "
              "levenberg_marquardt sees: nothing that is curved follows it\n  fix: end the model "
              "with classify, cross_entropy, binary_cross_entropy or mean_squared_error, or choose "
              "another optimizer");
}

}  // namespace
}  // namespace emulsion::test
