// Networks of lines and volumes as they ship: their loss falls, with the same bits for any number
// of threads.
#include <gtest/gtest.h>

#include "dsl/emulsion.h"
#include "dsl/finish.h"
#include "tests/integration/integration_support.h"

namespace emulsion::test {
namespace {

Network line_network() {
    Model m("line");
    Tensor x = relu(conv(m.input("sound", {3, 40}), 16, {.kernel = 5, .padding = same}));
    x = max_pool(x, {.window = 2});
    x = relu(batch_norm(conv(x, 16, {.dilation = 2, .bias = false})));
    m.classify(dense(global_average_pool(x), 4));
    m.optimizer(sgd({.learning_rate = 0.05, .momentum = 0.9}));
    return *finish(m).network;
}

Network volume_network() {
    Model m("volume");
    Tensor x = relu(conv(m.input("clip", {1, 4, 6, 6}), 8, {.padding = same}));
    x = average_pool(x, {.window = 2});
    x = relu(conv(x, 16, {.kernel = {2, 3, 3}, .padding = {0, 1, 1}}));
    m.classify(dense(flatten(x), 4));
    m.optimizer(sgd({.learning_rate = 0.05, .momentum = 0.9}));
    return *finish(m).network;
}

// The losses of some steps on one batch.
std::vector<float> losses(const emulsion_train_library& library, int threads) {
    Trainer trainer(library, threads);
    std::vector<float> all;
    for (int i = 0; i < 25; i++) {
        trainer.step(/*data=*/1, 8, 0.05F);
        all.push_back(trainer.loss());
    }
    return all;
}

void expect_falling_loss(const Network& network) {
    const BuiltLibraries built(network);
    const std::vector<float> one = losses(built.train(), 1);
    EXPECT_LT(one.back(), one.front() / 2);
    for (const int threads : {2, 3}) EXPECT_EQ(losses(built.train(), threads), one) << threads;
}

TEST(Axes, TheLossOfLinesFalls) { expect_falling_loss(line_network()); }
TEST(Axes, TheLossOfVolumesFalls) { expect_falling_loss(volume_network()); }

}  // namespace
}  // namespace emulsion::test
