// What models become: names, parameters, losses, settings; and which mistakes they report, where.
#include <gtest/gtest.h>

#include "compiler/ops/sources.h"
#include "dsl/model_state.h"
#include "tests/dsl/dsl_support.h"

namespace emulsion {
namespace {

std::vector<std::string> outputs_of(const Network& network) {
    std::vector<std::string> names;
    for (const Result& result : network.graph.results()) {
        if (result.kind == Result::Kind::output) names.push_back(result.name);
    }
    return names;
}

const Parameter& parameter(const Network& network, const std::string& name) {
    const auto* found = network.graph.op_as<Parameter>(network.graph.find(name));
    EXPECT_NE(found, nullptr) << name;
    return *found;
}

TEST(Model, AutomaticNamesCountTheirKind) {
    Model m("m");
    Tensor x = m.input("image", {1, 8, 8});
    x = relu(conv(x, 2));
    x = relu(conv(x, 2, {.name = "middle"}));
    x = relu(conv(x, 2));
    m.classify(dense(flatten(x), 2));
    Network network = finished(m);
    for (const char* name : {"conv1", "conv1.w", "conv1.b", "relu1", "middle", "middle.w", "conv3",
                             "relu3", "dense1.w"}) {
        EXPECT_GE(network.graph.find(name), 0) << name;
    }
    EXPECT_EQ(network.graph.find("conv2"), -1);
}

TEST(Model, InitialisersAndTheirFans) {
    Model m("m");
    Tensor x = m.input("image", {3, 8, 8});
    x = conv(x, 4, {.kernel = {3, 5}});
    x = conv(x, 4, {.init = Init::glorot()});
    m.classify(dense(flatten(x), 2, {.init = Init::normal(0.01)}));
    Network network = finished(m);
    EXPECT_EQ(parameter(network, "conv1.w").init, "he");
    EXPECT_EQ(parameter(network, "conv1.w").fan_in, 3 * 15);
    EXPECT_EQ(parameter(network, "conv1.w").fan_out, 4 * 15);
    EXPECT_EQ(parameter(network, "conv1.b").init, "zeros");
    EXPECT_EQ(parameter(network, "conv2.w").init, "glorot");
    EXPECT_EQ(parameter(network, "dense1.w").init, "normal");
    EXPECT_EQ(parameter(network, "dense1.w").scale, 0.01);
}

TEST(Model, OutputsOfAClassifier) {
    Model m("m");
    Tensor x = flatten(m.input("image", {1, 2, 2}));
    m.classify(dense(x, 3));
    m.output("features", x);
    EXPECT_EQ(outputs_of(finished(m)),
              (std::vector<std::string>{"correct", "scores", "probabilities", "features", "loss"}));
}

TEST(Model, LossesAddUpWithTheirWeights) {
    Model m("m");
    Tensor x = dense(m.input("x", {4}), 3);
    m.classify(x);
    m.classify(dense(x, 3), {.weight = 0.3, .name = "aux"});
    m.mean_squared_error(x, {.half_sum = true});
    Network network = finished(m);
    EXPECT_EQ(
        outputs_of(network),
        (std::vector<std::string>{"correct", "scores", "probabilities", "aux.correct", "aux.scores",
                                  "aux.probabilities", "prediction", "classify1.loss", "aux.loss",
                                  "mean_squared_error1.loss", "loss"}));
    EXPECT_EQ(node_text(network, "aux.mean.weighted"),
              "%aux.mean.weighted = scale(%aux.mean) {factor=0.3} : f32[]");
    EXPECT_EQ(node_text(network, "loss.total"),
              "%loss.total = add(%classify1.mean, %aux.mean.weighted) : f32[]");
    EXPECT_EQ(node_text(network, "loss.total.2"),
              "%loss.total.2 = add(%loss.total, %mean_squared_error1) : f32[]");
    EXPECT_EQ(
        node_text(network, "mean_squared_error1.halves"),
        "%mean_squared_error1.halves = scale(%mean_squared_error1.sums) {factor=0.5} : f32[n]");
}

TEST(Model, WhatCountsOfAClassifier) {
    Model m("m");
    Tensor x = dense(m.input("x", {4}), 3);
    m.classify(x, {.label_smoothing = 0.1, .class_weights = {1, 2, 0.5}, .ignored = -1});
    Network network = finished(m);
    EXPECT_EQ(outputs_of(network),
              (std::vector<std::string>{"correct", "counted", "scores", "probabilities", "loss"}));
    EXPECT_EQ(node_text(network, "classify1"),
              "%classify1 = softmax_cross_entropy(%dense1.biased, %label) {label_smoothing=0.1, "
              "class_weights=[1,2,0.5], ignored=[-1]} : f32[n], f32[n]");
    EXPECT_EQ(node_text(network, "classify1.counted.each"),
              "%classify1.counted.each = label_weight(%label) {ignored=[-1]} : f32[n]");
    EXPECT_EQ(node_text(network, "classify1.mean"),
              "%classify1.mean = weighted_mean(%classify1.sum, %classify1.weight) : f32[]");
    EXPECT_TRUE(parse_network(print(network), "m.emu") == network);
}

TEST(Model, PixelsAreClassifiedAndMayBeIgnored) {
    Model m("m");
    m.classify(conv(m.input("image", {1, 8, 6}), 3, {.padding = same}));
    m.classes({"a", "b", "c"});
    Network network = finished(m);
    EXPECT_EQ(node_text(network, "label"), "%label = input() : i32[n,1,8,6]");
    EXPECT_EQ(node_text(network, "classify1"),
              "%classify1 = softmax_cross_entropy(%conv1.biased, %label) {ignored=[-100]} : "
              "f32[n,1,8,6], f32[n,1,8,6]");
    EXPECT_EQ(node_text(network, "classify1.mean"),
              "%classify1.mean = weighted_mean(%classify1.sum, %classify1.counted) : f32[]");
    EXPECT_EQ(node_text(network, "classify1.probabilities"),
              "%classify1.probabilities = softmax(%conv1.biased) : f32[n,3,8,6]");
}

TEST(Model, LossesOfEveryKind) {
    Model m("m");
    Tensor x = dense(m.input("x", {4}), 3);
    m.cross_entropy(x, {.label_smoothing = 0.1, .name = "shares"});
    m.binary_cross_entropy(x, {.target = "tags", .positive_weight = 2, .name = "several"});
    m.hinge(x, {.target = "sides", .squared = true, .name = "side"});
    m.multi_margin(x, {.margin = 0.5, .name = "margin"});
    m.mean_absolute_error(x, {.target = "box", .name = "l1"});
    m.huber(x, {.target = "box", .delta = 0.5, .name = "robust"});
    m.smooth_l1(x, {.target = "box", .beta = 0.25, .name = "smooth"});
    Network network = finished(m);
    const std::string x_name = "%dense1.biased";
    EXPECT_EQ(node_text(network, "shares.each"), "%shares.each = distribution_cross_entropy(" +
                                                     x_name +
                                                     ", %target) {label_smoothing=0.1} : f32[n]");
    EXPECT_EQ(node_text(network, "several.each"), "%several.each = binary_cross_entropy(" + x_name +
                                                      ", %tags) {positive_weight=2} : f32[n,3]");
    EXPECT_EQ(node_text(network, "side.square"),
              "%side.square = multiply(%side.each, %side.each) : f32[n,3]");
    EXPECT_EQ(node_text(network, "margin.each"),
              "%margin.each = multi_margin(" + x_name +
                  ", %label) {margin=0.5, squared=false} : f32[n], f32[n]");
    EXPECT_EQ(node_text(network, "robust.each"),
              "%robust.each = huber(" + x_name + ", %box) {delta=0.5} : f32[n,3]");
    EXPECT_EQ(node_text(network, "smooth"), "%smooth = scale(%smooth.mean) {factor=4} : f32[]");
    EXPECT_TRUE(parse_network(print(network), "m.emu") == network);
}

TEST(Model, BatchNormUpdatesItsStatistics) {
    Model m("m");
    Tensor x = batch_norm(m.input("image", {4, 3, 5}), {.momentum = 0.2, .name = "bn"});
    m.classify(dense(flatten(x), 2));
    std::string text = print(finished(m));
    EXPECT_NE(
        text.find(
            "%bn.next_mean = running_average(%bn.running_mean, %bn:1) {momentum=0.2, count=15, "
            "unbiased=false}"),
        std::string::npos)
        << text;
    EXPECT_NE(text.find("%bn.next_variance = running_average(%bn.running_variance, %bn:2) "
                        "{momentum=0.2, count=15, "
                        "unbiased=true}"),
              std::string::npos);
    EXPECT_NE(text.find("update %bn.running_mean <- %bn.next_mean\n"), std::string::npos);
    EXPECT_NE(text.find("update %bn.running_variance <- %bn.next_variance\n"), std::string::npos);
}

TEST(Model, DropoutSitesDiffer) {
    Model m("m");
    Tensor x = dropout(dropout(m.input("x", {8})), {.rate = 0.2});
    m.classify(dense(x, 2));
    Network network = finished(m);
    EXPECT_EQ(node_text(network, "dropout1"),
              "%dropout1 = dropout(%x, %seed_low, %seed_high, %step_low, %step_high) {rate=0.5, "
              "site=0} : f32[n,8]");
    EXPECT_NE(node_text(network, "dropout2").find("{rate=0.2, site=1}"), std::string::npos);
}

TEST(Model, FreezingByPattern) {
    Model m("m");
    Tensor x = m.input("image", {1, 8, 8});
    x = conv(x, 2, {.name = "stem.a"});
    x = conv(x, 2, {.name = "stem.b"});
    m.classify(dense(flatten(x), 2));
    m.freeze("stem*");
    m.no_decay("*.b");
    Network network = finished(m);
    EXPECT_FALSE(parameter(network, "stem.a.w").trained);
    EXPECT_FALSE(parameter(network, "stem.b.b").trained);
    EXPECT_TRUE(parameter(network, "dense1.w").trained);
    EXPECT_FALSE(parameter(network, "stem.a.b").decay);
    EXPECT_FALSE(parameter(network, "dense1.b").decay);
    EXPECT_FALSE(parameter(network, "stem.b.w").decay);  // the layer's own name ends in .b
    EXPECT_TRUE(parameter(network, "dense1.w").decay);
}

TEST(Model, Patterns) {
    for (auto [pattern, text] :
         {std::pair("", ""), std::pair("a", "a"), std::pair("*", ""), std::pair("*", "ab"),
          std::pair("a*", "a"), std::pair("*b", "ab"), std::pair("a*b*c", "a1b2b3c"),
          std::pair("*ab*ab*", "xabyabz"), std::pair("a**b", "ab")}) {
        EXPECT_TRUE(internal::matches(pattern, text)) << pattern << " " << text;
    }
    for (auto [pattern, text] : {std::pair("", "a"), std::pair("a", ""), std::pair("a", "ab"),
                                 std::pair("a*b", "abc"), std::pair("*ab*ab*", "xaby")}) {
        EXPECT_FALSE(internal::matches(pattern, text)) << pattern << " " << text;
    }
    // What each star might take is not tried for all of them together.
    std::string pattern;
    for (int i = 0; i < 40; i++) pattern += "a*";
    EXPECT_FALSE(internal::matches(pattern + "b", std::string(4000, 'a')));
}

TEST(Model, FlattenedMapsKeepTheirOrderIntoDense) {
    Model m("m");
    m.classify(dense(flatten(m.input("image", {3, 2, 2})), 2));
    EXPECT_NE(node_text(finished(m), "dense1.w").find(": f32[2,12]{3,2,2}"), std::string::npos);
}

TEST(Model, ScoresThatAreAFlattenedMapLeaveInPlainOrder) {
    Model m("m");
    m.classify(flatten(conv(m.input("image", {1, 4, 4}), 2)));
    Network network = finished(m);
    EXPECT_EQ(node_text(network, "classify1.plain"),
              "%classify1.plain = unfactor(%flatten1) : f32[n,8]");
}

TEST(Model, OptimisersAndSchedules) {
    Model m("m");
    m.classify(dense(m.input("x", {4}), 2));
    EXPECT_EQ(finished(m).optimizer.kind, "sgd");
    EXPECT_EQ(finished(m).schedule.kind, "cosine");
    m.optimizer(adam({.form = AdamForm::keras,
                      .decoupled = true,
                      .schedule = step_rate({.every = 7, .gamma = 0.5})}));
    Network network = finished(m);
    EXPECT_EQ(network.optimizer.kind, "adam");
    EXPECT_EQ(network.optimizer.learning_rate, 0.001);
    EXPECT_EQ(network.optimizer.form, "keras");
    EXPECT_TRUE(network.optimizer.decoupled);
    EXPECT_EQ(network.schedule.kind, "step");
    EXPECT_EQ(network.schedule.every, 7);
    Model other("other");
    other.classify(dense(other.input("x", {4}), 2));
    other.optimizer(sgd(
        {.learning_rate = 0.1, .momentum = 0.9, .nesterov = true, .schedule = constant_rate()}));
    EXPECT_TRUE(finished(other).optimizer.nesterov);
    EXPECT_EQ(finished(other).schedule.kind, "constant");
}

// The settings of every optimiser as the text of the network has them.
TEST(Model, OptimisersReachTheNetwork) {
    const auto text_of = [](const Optimizer& optimizer) {
        Model m("m");
        m.classify(dense(m.input("x", {4}), 2));
        m.optimizer(optimizer);
        const Network network = finished(m);
        const std::string text = print(network);
        EXPECT_TRUE(parse_network(text, "m.emu") == network);
        return text.substr(10, text.find("graph") - 10);
    };
    EXPECT_EQ(text_of(adamw({.l1 = 0.5, .schedule = warm_up({.steps = 3})})),
              "optimizer adam {learning_rate=0.001, weight_decay=0.01, beta1=0.9, beta2=0.999, "
              "epsilon=1e-08, form=\"outside\", decoupled=true, bias_correction=true, "
              "clip_value=0, clip_norm=0, l1=0.5, adjustable=false}\n"
              "schedule cosine {final=0, warm_up=3, warm_up_epochs=0, in_epochs=false}\n");
    EXPECT_EQ(text_of(adagrad({.initial = 0.1, .clip_norm = 2, .schedule = linear_rate()})),
              "optimizer adagrad {learning_rate=0.01, weight_decay=0, epsilon=1e-10, initial=0.1, "
              "clip_value=0, clip_norm=2, l1=0, adjustable=false}\n"
              "schedule linear {final=0}\n");
    EXPECT_EQ(
        text_of(adadelta({.clip_value = 3, .adjustable = true, .schedule = one_cycle_rate()})),
        "optimizer adadelta {learning_rate=1, weight_decay=0, rho=0.9, epsilon=1e-06, "
        "clip_value=3, clip_norm=0, l1=0, adjustable=true}\n"
        "schedule one_cycle {rise=0.3, start=0.04, end=4e-06}\n");
    EXPECT_EQ(text_of(rmsprop({.centered = true, .schedule = cyclic_rate({.in_epochs = true})})),
              "optimizer rmsprop {learning_rate=0.01, weight_decay=0, rho=0.99, epsilon=1e-08, "
              "inside=false, centered=true, momentum=0}\n"
              "schedule cyclic {every=1000, gamma=1, start=0.1, warm_up=0, warm_up_epochs=0, "
              "in_epochs=true}\n");
    EXPECT_EQ(text_of(levenberg_marquardt({.schedule = linear_rate()})),
              "optimizer levenberg_marquardt {learning_rate=0.001, weight_decay=0, rho=0.99, "
              "damping=0.02}\n"
              "schedule linear {final=0}\n");
}

TEST(Model, SchedulesReachTheNetwork) {
    const auto text_of = [](const ScheduleSpec& schedule) {
        Model m("m");
        m.classify(dense(m.input("x", {4}), 2));
        m.optimizer(sgd({.schedule = schedule}));
        const Network network = finished(m);
        const std::string text = print(network);
        EXPECT_TRUE(parse_network(text, "m.emu") == network);
        const size_t begin = text.find("schedule ") + 9;
        return text.substr(begin, text.find("\ngraph") - begin);
    };
    EXPECT_EQ(text_of(multi_step_rate({.at = {3, 7}, .in_epochs = true})),
              "multi_step {at=[3,7], gamma=0.1, warm_up=0, warm_up_epochs=0, in_epochs=true}");
    EXPECT_EQ(text_of(exponential_rate({.every = 5, .gamma = 0.9})),
              "exponential {every=5, gamma=0.9}");
    EXPECT_EQ(text_of(polynomial_rate({.final = 0.001})), "polynomial {final=0.001, power=2}");
    EXPECT_EQ(text_of(cosine_restarts_rate({.growth = 2})),
              "cosine_restarts {final=0, every=1000, growth=2}");
    EXPECT_EQ(text_of(plateau_rate({.metric = RateMetric::accuracy})),
              "plateau {gamma=0.1, end=0, patience=10, threshold=0.0001, cooldown=0, "
              "metric=\"accuracy\"}");
    EXPECT_EQ(text_of(warm_up({.epochs = 2, .then = step_rate()})),
              "step {every=1000, gamma=0.1, warm_up=0, warm_up_epochs=2, in_epochs=false}");
}

// The last call that matches holds; factors of 1 are none.
TEST(Model, RatesOfLayers) {
    Model m("m");
    Tensor x = dense(dense(m.input("x", {4}), 3), 2);
    m.classify(dense(x, 2));
    m.learning_rate("dense*", 0.1);
    m.learning_rate("dense2", 1);
    m.learning_rate("*.b", 2);
    const Network network = finished(m);
    EXPECT_EQ(network.rates, (std::map<std::string, double>{{"dense1.b", 2},
                                                            {"dense1.w", 0.1},
                                                            {"dense2.b", 2},
                                                            {"dense3.b", 2},
                                                            {"dense3.w", 0.1}}));
    EXPECT_NE(print(network).find("\nrates {dense1.b=2, dense1.w=0.1, dense2.b=2, dense3.b=2, "
                                  "dense3.w=0.1}\n"),
              std::string::npos);
    EXPECT_TRUE(parse_network(print(network), "m.emu") == network);
}

// Without a loss a model is for inference alone; an optimizer says that the loss was forgotten.
TEST(Model, OutputsAloneAreForInference) {
    Model m("m");
    m.output("features", relu(dense(m.input("x", {4}), 2)));
    const Network network = finished(m);
    EXPECT_FALSE(is_trained(network));
    EXPECT_EQ(parse_network(print(network), "m.emu"), network);
    m.optimizer(sgd());
    const FinishedModel result = finish(m);
    ASSERT_EQ(result.mistakes.size(), 1u);
    EXPECT_EQ(result.mistakes[0].message,
              "the model 'm' has an optimizer, but no loss to train with");
}

TEST(Model, OperatorsReportTheirOwnLine) {
    Model m("m");
    Tensor a = m.input("a", {4}), b = m.input("b", {5});
    int line = __LINE__ + 1;
    Tensor c = a * b;
    m.classify(dense(c, 2));
    FinishedModel result = finish(m);
    ASSERT_EQ(result.mistakes.size(), 1u);
    EXPECT_EQ(result.mistakes[0].where.line, line);
    EXPECT_EQ(result.mistakes[0].where.file, __FILE__);
}

TEST(Model, AMistakeSilencesWhatFollows) {
    Model m("m");
    Tensor x = conv(m.input("image", {1, 4, 4}), 2, {.kernel = 9});
    x = batch_norm(relu(max_pool(x)) + x);
    m.output("features", x);
    m.classify(dense(flatten(x), 10));
    m.classes({"one", "two"});
    EXPECT_EQ(mistakes_of(m).size(), 1u);
}

TEST(Model, EmptyTensorsAreReportedWhereTheyMeetTheModel) {
    Model m("m");
    Tensor nothing;
    m.classify(dense(relu(nothing), 10));
    EXPECT_EQ(mistakes_of(m),
              (std::vector<std::string>{
                  "error[empty]: classify 'classify1': an operand is an empty tensor\n"
                  "  fix: give it a value first: an input of the model or the result of a layer"}));
}

TEST(Model, TensorsOutliveTheirModel) {
    Tensor x;
    {
        Model m("gone");
        x = m.input("x", {4});
    }
    EXPECT_EQ(x.shape(), Shape{4});
    Model other("other");
    other.classify(dense(x, 2));
    EXPECT_EQ(mistakes_of(other).size(), 1u);
}

}  // namespace
}  // namespace emulsion
