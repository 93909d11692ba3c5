// What freezing does in a compiled training step.
#include <gtest/gtest.h>

#include "compiler/graph/text.h"
#include "dsl/emulsion.h"
#include "dsl/finish.h"
#include "tests/integration/integration_support.h"

namespace emulsion::test {
namespace {

Network finished(const Model& model) {
    const FinishedModel result = finish(model);
    for (const Diagnostic& mistake : result.mistakes) ADD_FAILURE() << mistake.message;
    return result.network.value();
}

// Two values of one channel through batch norm into one score without bias, whose weights have the
// normalised values as their gradient.
Network normalized_pair(const std::string& frozen) {
    Model m("pair");
    Tensor x = batch_norm(m.input("image", {1, 1, 2}), {.name = "bn"});
    m.loss(dense(flatten(x), 1, {.bias = false, .name = "head"}));
    m.output("normalized", flatten(x));
    m.optimizer(sgd({.learning_rate = 0.1}));
    m.freeze(frozen);
    return finished(m);
}

void set_running_statistics(Trainer& trainer) {
    trainer.tensor("bn.running_mean")[0] = 4;
    trainer.tensor("bn.running_variance")[0] = 9;
}

TEST(Frozen, BatchNormNormalisesByItsRunningStatistics) {
    for (const char* pattern : {"bn", "bn*"}) {
        SCOPED_TRACE(pattern);
        const BuiltLibraries built(normalized_pair(pattern), {.batch = 1});
        Trainer trainer(built.train());
        set_running_statistics(trainer);
        trainer.ports.input(0)[0] = 10;
        trainer.ports.input(0)[1] = 30;
        ASSERT_EQ(trainer.library.step(trainer.instance(), trainer.ports.call(1), 0.1f),
                  EMULSION_OK)
            << trainer.library.error(trainer.instance());
        const float* gradient = trainer.tensor("gradient head.w");  // [1][2][16]
        EXPECT_NEAR(gradient[0], 2, 1e-5);
        EXPECT_NEAR(gradient[kBlock], 26.0 / 3, 1e-5);
        EXPECT_EQ(trainer.tensor("bn.running_mean")[0], 4);
        EXPECT_EQ(trainer.tensor("bn.running_variance")[0], 9);
        EXPECT_EQ(trainer.tensor("bn.gamma")[0], 1);
        EXPECT_EQ(trainer.tensor("bn.beta")[0], 0);

        Runner runner(built.infer(), trainer);
        runner.ports.input(0)[0] = 10;
        runner.ports.input(0)[1] = 30;
        runner.run(1);
        EXPECT_NEAR(runner.ports.output("normalized")[0], 2, 1e-5);
        EXPECT_NEAR(runner.ports.output("normalized")[1], 26.0 / 3, 1e-5);
    }
}

// With one of the two still trained, the layer goes on measuring.
TEST(Frozen, BatchNormWithATrainedPartGoesOnMeasuring) {
    const BuiltLibraries built(normalized_pair("bn.gamma"), {.batch = 1});
    Trainer trainer(built.train());
    set_running_statistics(trainer);
    trainer.ports.input(0)[0] = 10;
    trainer.ports.input(0)[1] = 30;
    ASSERT_EQ(trainer.library.step(trainer.instance(), trainer.ports.call(1), 0.1f), EMULSION_OK);
    EXPECT_NEAR(trainer.tensor("gradient head.w")[0], -1, 1e-5);
    EXPECT_NEAR(trainer.tensor("bn.running_mean")[0], 5.6, 1e-5);
    EXPECT_NEAR(trainer.tensor("bn.running_variance")[0], 28.1, 1e-4);  // 200, unbiased
}

// A trained convolution below a frozen norm gets the gradient through scale alone: gamma / sqrt(9 +
// epsilon).
TEST(Frozen, BatchNormLetsTheGradientThrough) {
    Model m("below");
    Tensor x = conv(m.input("image", {1, 1, 1}), 1, {.kernel = 1, .bias = false, .name = "conv"});
    m.loss(batch_norm(x, {.name = "bn"}));
    m.optimizer(sgd({.learning_rate = 0.1}));
    m.output("y", x);
    m.freeze("bn");
    const BuiltLibraries built(finished(m), {.batch = 2});
    Trainer trainer(built.train());
    set_running_statistics(trainer);
    trainer.ports.input(0)[0] = 6;
    trainer.ports.input(0)[1] = 12;
    ASSERT_EQ(trainer.library.step(trainer.instance(), trainer.ports.call(2), 0.1f), EMULSION_OK);
    EXPECT_NEAR(trainer.tensor("gradient conv.w")[0], 3, 1e-5);  // mean of 6 / 3 and 12 / 3
}

// Freezing keeps weights; it does not switch dropout off.
TEST(Frozen, DropoutGoesOnDropping) {
    Model m("drops");
    Tensor x = dropout(dense(m.input("x", {4}), 4, {.name = "body"}), {.name = "body.drop"});
    m.classify(dense(x, 2));
    m.freeze("body*");
    const std::string step = print(training_graph(finished(m)));
    EXPECT_NE(step.find("%body.drop = dropout("), std::string::npos) << step;
}

}  // namespace
}  // namespace emulsion::test
