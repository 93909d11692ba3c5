// The training step as a graph: which results it has, in which form each optimiser writes them, and
// their values.
#include "compiler/autodiff/training_step.h"

#include <gtest/gtest.h>

#include <cmath>

#include "compiler/graph/text.h"
#include "tests/support/graph_results.h"

namespace emulsion::test {
namespace {

// A classifier with batch norm: low.w, gamma, beta and high.w are trained, `decay=false` for the
// vectors.
Network classifier(const std::string& optimizer = "sgd {learning_rate=0.1}",
                   const std::string& low = "") {
    return parse_network("network net\noptimizer " + optimizer + R"(
schedule constant
graph net {
  %image = input() : f32[n,2,4,4]
  %low.w = parameter() {init="he", fan_in=18)" +
                             low + R"(} : f32[3,2,3,3]
  %low = conv2d(%image, %low.w) {padding=[1,1,1,1]} : f32[n,3,4,4]
  %bn.gamma = parameter() {init="ones", decay=false} : f32[3]
  %bn.beta = parameter() {decay=false} : f32[3]
  %bn.running_mean = state() : f32[3]
  %bn.running_variance = state() {value=1} : f32[3]
  %bn = batch_norm(%low, %bn.gamma, %bn.beta, %bn.running_mean, %bn.running_variance) : f32[n,3,4,4], f32[3], f32[3]
  %bn.next_mean = running_average(%bn.running_mean, %bn:1) {count=16} : f32[3]
  %bn.next_variance = running_average(%bn.running_variance, %bn:2) {count=16, unbiased=true} : f32[3]
  %y = tanh(%bn:0) : f32[n,3,4,4]
  %flat = flatten(%y) : f32[n,48]{3,4,4}
  %high.w = parameter() {init="he", fan_in=48} : f32[5,48]{3,4,4}
  %high = dense(%flat, %high.w) : f32[n,5]
  %label = input() : i32[n]
  %cross = softmax_cross_entropy(%high, %label) : f32[n], f32[n]
  %loss = reduce(%cross:0) {mean=true} : f32[]
  %correct = reduce(%cross:1) : f32[]
  %probabilities = softmax(%high) : f32[n,5]
  output "correct" %correct
  output "probabilities" %probabilities
  output "loss" %loss
  update %bn.running_mean <- %bn.next_mean
  update %bn.running_variance <- %bn.next_variance
})",
                         "net.emu");
}

std::vector<std::string> result_names(const Graph& graph) {
    std::vector<std::string> names;
    for (const Result& result : graph.results()) {
        if (result.kind == Result::Kind::output) names.push_back("output " + result.name);
        if (result.kind == Result::Kind::gradient)
            names.push_back("gradient " + graph.node(result.target).name);
        if (result.kind == Result::Kind::update)
            names.push_back("update " + graph.node(result.target).name);
    }
    return names;
}

using Names = std::vector<std::string>;

// The line of a node in the graph's text, without its type.
std::string line_of(const Graph& graph, const std::string& name) {
    std::string text = print(graph);
    size_t start = text.find("  %" + name + " = ");
    if (start == std::string::npos) return "there is no " + name;
    return text.substr(start + 2, text.find(" : ", start) - start - 2);
}

TEST(TrainingStep, ResultsOfPlainDescent) {
    Graph step = training_step(classifier());
    verify(step);
    EXPECT_EQ(result_names(step),
              (Names{"output loss", "output correct", "update bn.running_mean",
                     "update bn.running_variance", "gradient low.w", "update low.w",
                     "gradient bn.gamma", "update bn.gamma", "gradient bn.beta", "update bn.beta",
                     "gradient high.w", "update high.w"}));
    EXPECT_EQ(step.find("probabilities"), -1);  // an output of inference alone
    EXPECT_EQ(line_of(step, "low.w.sgd"),
              "%low.w.sgd = sgd_plain(%low.w, %low.dw, %learning_rate) {weight_decay=0}");
}

// Every classifier's count stays, in the order of the network; nothing else that inference has.
TEST(TrainingStep, CountsOfSeveralClassifiers) {
    std::string text = print(classifier());
    const std::string output = "  output \"correct\" %correct\n";
    text.replace(text.find(output), output.size(),
                 "  %more = reduce(%cross:1) : f32[]\n  output \"aux.correct\" %more\n" + output +
                     "  output \"aux.corrected\" %probabilities\n");
    const Names names = result_names(training_step(parse_network(text, "net.emu")));
    EXPECT_EQ(
        Names(names.begin(), names.begin() + 4),
        (Names{"output loss", "output aux.correct", "output correct", "update bn.running_mean"}));
}

TEST(TrainingStep, Momentum) {
    Graph step = training_step(classifier(
        "sgd {learning_rate=0.1, momentum=0.9, nesterov=true, damped=true, weight_decay=0.0005}"));
    verify(step);
    EXPECT_EQ(line_of(step, "low.w.momentum"),
              "%low.w.momentum = state() {value=0, optimizer=true}");
    EXPECT_EQ(line_of(step, "low.w.sgd"),
              "%low.w.sgd = sgd_update(%low.w, %low.dw, %low.w.momentum, %learning_rate) "
              "{momentum=0.9, nesterov=true, "
              "damped=true, weight_decay=0.0005}");
    Names names = result_names(step);
    EXPECT_EQ(std::count(names.begin(), names.end(), "update high.w.momentum"), 1);
    EXPECT_EQ(names.size(), 16u);
}

TEST(TrainingStep, Adam) {
    Graph step =
        training_step(classifier("adam {learning_rate=0.001, weight_decay=0.01, beta1=0.8, "
                                 "beta2=0.99, epsilon=1e-06, form=\"inside\", "
                                 "decoupled=true}"));
    verify(step);
    EXPECT_EQ(line_of(step, "adam.correction1"),
              "%adam.correction1 = state() {value=0, optimizer=true}");
    EXPECT_EQ(line_of(step, "adam.correction1.next"),
              "%adam.correction1.next = adam_correction(%adam.correction1) {beta=0.8}");
    EXPECT_EQ(line_of(step, "adam.correction2.next"),
              "%adam.correction2.next = adam_correction(%adam.correction2) {beta=0.99}");
    EXPECT_EQ(line_of(step, "low.w.adam"),
              "%low.w.adam = adam_update(%low.w, %low.dw, %low.w.moment1, %low.w.moment2, "
              "%adam.correction1.next, "
              "%adam.correction2.next, %learning_rate) {beta1=0.8, beta2=0.99, epsilon=1e-06, "
              "form=\"inside\", "
              "weight_decay=0.01, decoupled=true, bias_correction=true}");
    Names names = result_names(step);
    for (const char* name : {"update adam.correction1", "update adam.correction2",
                             "update high.w.moment1", "update bn.beta.moment2"}) {
        EXPECT_EQ(std::count(names.begin(), names.end(), name), 1) << name;
    }
    EXPECT_EQ(names.size(), 22u);
}

TEST(TrainingStep, VectorsMarkedSoAreNotDecayed) {
    for (const char* optimizer :
         {"sgd {weight_decay=0.25}", "sgd {momentum=0.5, weight_decay=0.25}",
          "adam {weight_decay=0.25}"}) {
        Graph step = training_step(classifier(optimizer));
        std::string ending = std::string(optimizer).starts_with("adam") ? ".adam" : ".sgd";
        EXPECT_NE(line_of(step, "high.w" + ending).find("weight_decay=0.25"), std::string::npos)
            << optimizer;
        EXPECT_EQ(line_of(step, "bn.gamma" + ending).find("weight_decay=0.25"), std::string::npos)
            << optimizer;
        EXPECT_NE(line_of(step, "bn.gamma" + ending).find("weight_decay=0"), std::string::npos)
            << optimizer;
    }
}

TEST(TrainingStep, AFrozenFilterCostsNothing) {
    Graph trained = training_step(classifier());
    Graph step = training_step(classifier("sgd {momentum=0.9}", ", trained=false"));
    verify(step);
    for (const std::string& name : result_names(step))
        EXPECT_EQ(name.find("low.w"), std::string::npos) << name;
    EXPECT_EQ(step.find("low.w.momentum"), -1);
    EXPECT_EQ(step.find("low.dw"), -1);
    EXPECT_EQ(step.find("bn.dx"), -1);  // below gamma and beta nobody wants a gradient
    EXPECT_GE(trained.find("bn.dx"), 0);
}

TEST(TrainingStep, ParametersBesideTheLossStayAsTheyAre) {
    Graph step = training_step(parse_network(R"(network net
optimizer adam {learning_rate=0.1}
schedule constant
graph net {
  %x = input() : f32[n,3]
  %w = parameter() : f32[3]
  %beside = parameter() : f32[3]
  %a = multiply(%x, %w) : f32[n,3]
  %b = multiply(%x, %beside) : f32[n,3]
  %loss = reduce(%a) {mean=true} : f32[]
  output "loss" %loss
  output "other" %b
})",
                                             "net.emu"));
    verify(step);
    EXPECT_GE(step.find("beside"), 0);  // a tensor of the library, for the weights file
    EXPECT_EQ(result_names(step),
              (Names{"output loss", "update adam.correction1", "update adam.correction2",
                     "gradient w", "update w", "update w.moment1", "update w.moment2"}));
}

TEST(TrainingStep, ValuesOfOneStep) {
    Network network = classifier("sgd {momentum=0.9, weight_decay=0.01}");
    Graph step = training_step(network);
    const int64_t samples = 4;
    reference::Sources sources = random_sources(step, samples, 3, 5);
    GraphResults results = results_of(step, sources, samples);
    GraphResults forward = results_of(network.graph, sources, samples);
    EXPECT_EQ(results.at("output loss"), forward.at("output loss"));
    EXPECT_EQ(results.at("update bn.running_mean"), forward.at("update bn.running_mean"));
    const double rate = sources.at("learning_rate").values[0];
    for (const std::string name : {"low.w", "bn.gamma", "high.w"}) {
        const double decay = name == "bn.gamma" ? 0 : 0.01;
        const reference::Tensor &w = sources.at(name), &m = sources.at(name + ".momentum"),
                                &g = results.at("gradient " + name);
        for (size_t i = 0; i < w.values.size(); i++) {
            double moved = 0.9 * m.values[i] + g.values[i] + decay * w.values[i];
            EXPECT_NEAR(results.at("update " + name + ".momentum").values[i], moved, 1e-12) << name;
            EXPECT_NEAR(results.at("update " + name).values[i], w.values[i] - rate * moved, 1e-12)
                << name;
        }
    }
}

TEST(TrainingStep, ANetworkWithoutLossIsRefused) {
    Network network;
    network.name = "net";
    network.graph = parse_graph(
        "graph net { %x = input() : f32[n,3] %y = relu(%x) : f32[n,3] output \"y\" %y }",
        "net.emu");
    try {
        training_step(network);
        FAIL();
    } catch (const Error& error) {
        EXPECT_STREQ(error.what(),
                     "error[loss]: network 'net' has no loss\n"
                     "  fix: end the model with classify(…) or loss(…)");
    }
}

}  // namespace
}  // namespace emulsion::test
