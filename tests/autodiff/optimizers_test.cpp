// Every optimiser through whole training steps: 100 steps against stored values, clipping, rates of
// groups, penalties.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "compiler/autodiff/training_step.h"
#include "compiler/graph/text.h"
#include "compiler/ops/sources.h"
#include "tests/support/check_op.h"
#include "tests/support/golden.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

using reference::make_tensor;
using Values = std::vector<double>;

// The loss is the product of the weights with an input, so that the input is the gradient: "w" of
// three weights and "b" of one, whose gradients are what the steps are given.
Network product(const std::string& headers) {
    return parse_network("network net\n" + headers + R"(
graph net {
  %gw = input() : f32[n,3]
  %gb = input() : f32[n,1]
  %w = parameter() : f32[3]
  %b = parameter() {decay=false} : f32[1]
  %pw = multiply(%gw, %w) : f32[n,3]
  %pb = multiply(%gb, %b) : f32[n,1]
  %sw = reduce(%pw) : f32[]
  %sb = reduce(%pb) : f32[]
  %loss = add(%sw, %sb) : f32[]
  output "loss" %loss
  output "out" %pw
})",
                         "net.emu");
}

class Descent {
  public:
    explicit Descent(const std::string& headers, const Values& w = {0, 0, 0}, double b = 0)
        : graph_(training_step(product(headers))) {
        for (int i = 0; i < static_cast<int>(graph_.nodes().size()); i++) {
            const Node& node = graph_.node(i);
            if (const auto* state = graph_.op_as<State>(i)) {
                sources_[node.name] = make_tensor(
                    node.types[0], 1,
                    Values(static_cast<size_t>(element_count(node.types[0])), state->value));
            }
        }
        sources_["w"] = make_tensor(plain_type({3}), 1, w);
        sources_["b"] = make_tensor(plain_type({1}), 1, {b});
    }

    void step(const Values& gw, double gb, double rate) {
        sources_["gw"] = make_tensor(batched_type({3}), 1, gw);
        sources_["gb"] = make_tensor(batched_type({1}), 1, {gb});
        sources_["learning_rate"] = make_tensor(plain_type({}), 1, {rate});
        const reference::Values values = run_graph(graph_, sources_, 1);
        for (const Result& result : graph_.results()) {
            if (result.kind != Result::Kind::update) continue;
            sources_[graph_.node(result.target).name] =
                values[static_cast<size_t>(result.value.node)]
                      [static_cast<size_t>(result.value.output)];
        }
    }

    void set(const std::string& state, double value) {
        ASSERT_TRUE(sources_.contains(state)) << state;
        sources_[state].values = {value};
    }

    const Values& w() const { return sources_.at("w").values; }
    double b() const { return sources_.at("b").values[0]; }
    const Graph& graph() const { return graph_; }

  private:
    Graph graph_;
    reference::Sources sources_;
};

// The cases of tests/reference/optimizers.py.
struct Case {
    const char* name;
    double rate;
    const char* optimizer;
};
constexpr Case kCases[] = {
    {"sgd", 0.05, "sgd"},
    {"sgd_decay", 0.05, "sgd {weight_decay=0.1}"},
    {"sgd_momentum", 0.02, "sgd {momentum=0.9}"},
    {"sgd_nesterov", 0.02, "sgd {momentum=0.9, nesterov=true, weight_decay=0.1}"},
    {"adam", 0.05, "adam"},
    {"adam_decay", 0.05, "adam {weight_decay=0.1}"},
    {"adamw", 0.05, "adam {beta1=0.8, beta2=0.99, weight_decay=0.1, decoupled=true}"},
    {"adagrad", 0.1, "adagrad {epsilon=1e-10}"},
    {"adagrad_decay", 0.1, "adagrad {epsilon=1e-10, initial=0.1, weight_decay=0.1}"},
    {"adadelta", 1, "adadelta {epsilon=1e-6}"},
    {"adadelta_decay", 0.5, "adadelta {rho=0.95, epsilon=1e-4, weight_decay=0.1}"},
    {"rmsprop", 0.02, "rmsprop {rho=0.99}"},
    {"rmsprop_momentum", 0.005, "rmsprop {rho=0.99, momentum=0.9, weight_decay=0.1}"},
    {"rmsprop_centered", 0.01, "rmsprop {centered=true, epsilon=1e-3}"},
    {"rmsprop_both", 0.002, "rmsprop {centered=true, momentum=0.8, epsilon=1e-3}"},
    // The same with decay and momentum as state.
    {"sgd_nesterov", 0.02, "sgd {momentum=0.9, nesterov=true, weight_decay=0.1, adjustable=true}"},
    {"adamw", 0.05,
     "adam {beta1=0.8, beta2=0.99, weight_decay=0.1, decoupled=true, adjustable=true}"},
    {"adagrad_decay", 0.1,
     "adagrad {epsilon=1e-10, initial=0.1, weight_decay=0.1, adjustable=true}"},
    {"rmsprop_both", 0.002, "rmsprop {centered=true, momentum=0.8, epsilon=1e-3, adjustable=true}"},
};

// Stored weights by case and step.
std::map<std::string, std::map<int, Values>> stored_paths() {
    std::map<std::string, std::map<int, Values>> paths;
    std::istringstream lines(read_test_file("reference/optimizers.txt"));
    std::string name;
    int step = 0;
    Values w(3);
    while (lines >> name >> step >> w[0] >> w[1] >> w[2]) paths[name][step] = w;
    return paths;
}

TEST(Optimizers, AHundredStepsFollowTheStoredValues) {
    const auto paths = stored_paths();
    ASSERT_EQ(paths.size(), 15u);
    for (const Case& each : kCases) {
        SCOPED_TRACE(each.name);
        Descent descent(std::string("optimizer ") + each.optimizer, {1, -2, 0.5});
        const std::map<int, Values>& path = paths.at(each.name);
        for (int t = 1; t <= 100; t++) {
            Values gradients;
            const double a[] = {1, 8, 0.1};
            for (int i = 0; i < 3; i++) {
                gradients.push_back(a[i] * (descent.w()[static_cast<size_t>(i)] - 0.2) +
                                    0.3 * std::sin(t * (i + 1)));
            }
            descent.step(gradients, 0, each.rate);
            if (path.contains(t)) expect_near(descent.w(), path.at(t), 1e-5);
        }
    }
}

// w^2 / 2 from 1, which the state alone makes plain descent, momentum and decay of.
TEST(Optimizers, DecayAndMomentumOfTheState) {
    Descent descent("optimizer sgd {momentum=0.9, weight_decay=0.5, adjustable=true}", {1, 0, 0},
                    1);
    const auto step = [&] { descent.step({descent.w()[0], 0, 0}, 0, 0.1); };
    descent.set("optimizer.weight_decay", 0);
    descent.set("optimizer.momentum", 0);
    step();
    EXPECT_NEAR(descent.w()[0], 0.9, 1e-6);
    descent.set("optimizer.momentum", 0.9);  // the buffer has 1
    step();
    EXPECT_NEAR(descent.w()[0], 0.72, 1e-6);
    descent.set("optimizer.weight_decay", 0.5);
    descent.set("optimizer.momentum", 0);
    step();
    EXPECT_NEAR(descent.w()[0], 0.72 - 0.1 * 1.5 * 0.72, 1e-6);
    EXPECT_EQ(descent.b(), 1);  // does not decay
}

TEST(Optimizers, AdaDeltaTakesRootsOfBothAverages) {  // case O7
    Descent descent("optimizer adadelta {rho=0.9, epsilon=1e-6}", {1, 0, 0});
    Values path;
    for (double gradient : {2.0, -1.0, 3.0}) {
        descent.step({gradient, 0, 0}, 0, 1);
        path.push_back(descent.w()[0]);
    }
    expect_near(path, {0.99683773, 0.99892287, 0.99492391}, 1e-6);
    EXPECT_EQ(descent.b(), 0);  // without a gradient it stays
}

TEST(Optimizers, FirstStepsAreTheRate) {  // whatever the gradient: AdaGrad, and RMSProp times 10
    for (double gradient : {1e-3, 1.0, 1e3}) {
        Descent adagrad("optimizer adagrad {epsilon=1e-10}"),
            rmsprop("optimizer rmsprop {rho=0.99}");
        adagrad.step({gradient, 0, 0}, 0, 0.1);
        rmsprop.step({gradient, 0, 0}, 0, 0.1);
        EXPECT_NEAR(adagrad.w()[0], -0.1, 1e-7) << gradient;
        EXPECT_NEAR(rmsprop.w()[0], -1, 1e-4) << gradient;
    }
}

TEST(Clipping, ByOneNormOverAllTensors) {  // case O6; below the limit nothing changes
    Descent descent("optimizer sgd {clip_norm=1}");
    descent.step({3, 0, 0}, 4, 1);
    expect_near({descent.w()[0], descent.b()}, {-0.6, -0.8}, 1e-6);
    descent.step({0.5, 0, 0}, 0.25, 1);
    expect_near({descent.w()[0], descent.b()}, {-1.1, -1.05}, 1e-6);
    descent.step({0, 0, 0}, 0, 1);
    expect_near({descent.w()[0], descent.b()}, {-1.1, -1.05}, 1e-6);
}

TEST(Clipping, ByValue) {
    Descent descent("optimizer sgd {clip_value=0.5}");
    descent.step({3, -4, 0.25}, -0.5, 1);
    expect_near(descent.w(), {-0.5, 0.5, -0.25}, 0);
    EXPECT_EQ(descent.b(), 0.5);
}

// Penalties join what is clipped, and leave alone what does not decay.
TEST(Penalties, StandBehindTheClipping) {
    Descent descent("optimizer sgd {clip_norm=1, l1=0.5, weight_decay=0.25}", {2, -2, 0}, 2);
    descent.step({3, 0, 0}, 4, 1);
    expect_near(descent.w(), {2 - 0.6 - 0.5 - 0.5, -2 + 0.5 + 0.5, 0}, 1e-6);
    EXPECT_NEAR(descent.b(), 2 - 0.8, 1e-6);
}

TEST(Rates, OfGroupsAreFactorsOfTheRate) {
    Descent descent("optimizer sgd {momentum=0.5}\nrates {w=0.1}");
    for (int i = 0; i < 2; i++) descent.step({1, 0, 0}, 1, 0.5);
    expect_near({descent.w()[0], descent.b()}, {-0.125, -1.25}, 1e-6);
    Descent still("optimizer adam\nrates {b=0}", {0, 0, 0}, 3);
    still.step({1, 1, 1}, 1, 0.5);
    EXPECT_EQ(still.b(), 3);
}

// The text of the step's end, and of nothing else.
TEST(Optimizers, TextOfClippedUpdates) {
    const auto text_of = [](const std::string& headers) {
        const std::string text = print(training_step(product(headers)));
        const size_t begin = text.find("  %learning_rate = ");
        return text.substr(begin, text.find("  output") - begin);
    };
    EXPECT_EQ(
        text_of("optimizer rmsprop {centered=true, momentum=0.9, clip_norm=5, l1=0.01}\n"
                "rates {b=2}"),
        R"(  %learning_rate = scalar() {name="learning_rate"} : f32[]
  %w.squared_norm = sum_squares(%pw.sum) : f32[]
  %b.squared_norm = sum_squares(%pb.sum) : f32[]
  %b.squared_norms = add(%b.squared_norm, %w.squared_norm) : f32[]
  %clip_factor = clip_factor(%b.squared_norms) {norm=5} : f32[]
  %w.clipped = multiply(%pw.sum, %clip_factor) : f32[3]
  %w.penalized = l1_penalty(%w.clipped, %w) {factor=0.01} : f32[3]
  %w.squares = state() {value=0, optimizer=true} : f32[3]
  %w.mean = state() {value=0, optimizer=true} : f32[3]
  %w.momentum = state() {value=0, optimizer=true} : f32[3]
  %w.rmsprop = rmsprop_update(%w, %w.penalized, %w.squares, %w.mean, %w.momentum, %learning_rate) )"
        R"({rho=0.9, epsilon=1e-08, inside=false, centered=true, momentum=0.9, weight_decay=0} )"
        R"(: f32[3], f32[3], f32[3], f32[3]
  %b.clipped = multiply(%pb.sum, %clip_factor) : f32[1]
  %b.squares = state() {value=0, optimizer=true} : f32[1]
  %b.mean = state() {value=0, optimizer=true} : f32[1]
  %b.momentum = state() {value=0, optimizer=true} : f32[1]
  %learning_rate.part = scale(%learning_rate) {factor=2} : f32[]
  %b.rmsprop = rmsprop_update(%b, %b.clipped, %b.squares, %b.mean, %b.momentum, )"
        R"(%learning_rate.part) {rho=0.9, epsilon=1e-08, inside=false, centered=true, )"
        R"(momentum=0.9, weight_decay=0} : f32[1], f32[1], f32[1], f32[1]
)");
}

TEST(Optimizers, ClippingWithoutABoundAddsNoNode) {
    const Graph plain = Descent("optimizer sgd").graph();
    for (const char* kind : {"clip_factor", "clip_value", "l1_penalty", "scale", "sum_squares"}) {
        for (const Node& node : plain.nodes()) EXPECT_NE(node.op->kind(), kind);
    }
}

}  // namespace
}  // namespace emulsion::test
