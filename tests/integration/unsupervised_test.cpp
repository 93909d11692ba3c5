// A convolutional restricted Boltzmann machine as it ships: a step has the gradients of the
// reference, which draws the same units, for any number of threads; and what it dreams comes close
// to what it sees.
#include <gtest/gtest.h>

#include <cmath>

#include "compiler/autodiff/training_step.h"
#include "compiler/ops/sources.h"
#include "dsl/finish.h"
#include "tests/integration/integration_support.h"
#include "tests/support/graph_results.h"

namespace emulsion::test {
namespace {

constexpr int kSamples = 8, kSize = 6;

Network machine() {
    Model m("machine");
    const ConvRbm r = conv_rbm(m.input("v", {1, kSize, kSize}), 4,
                               {.kernel = 3, .init = Init::normal(0.1), .name = "r"});
    m.loss(r.loss);
    m.output("pooled", r.pooled);
    m.optimizer(sgd());
    return finish(m).network.value();
}

// Every sample has a bar, across or down.
std::vector<float> bars() {
    std::vector<float> pictures;
    for (int n = 0; n < kSamples; n++) {
        for (int y = 0; y < kSize; y++) {
            for (int x = 0; x < kSize; x++)
                pictures.push_back((n % 2 == 0 ? y : x) == n % kSize ? 1.0f : 0.0f);
        }
    }
    return pictures;
}

void step(Trainer& trainer, float rate) {
    const std::vector<float> pictures = bars();
    std::copy(pictures.begin(), pictures.end(), trainer.ports.input(0));
    ASSERT_EQ(trainer.library.step(trainer.instance(), trainer.ports.call(kSamples), rate),
              EMULSION_OK)
        << trainer.library.error(trainer.instance());
}

// The reference at the weights of a trainer before its first step.
GraphResults expected_of(const Trainer& trainer) {
    const Graph graph = training_step(machine());
    reference::Sources sources = random_sources(graph, kSamples);
    for (auto& [name, tensor] : sources) {
        const int node = graph.find(name);
        if (graph.op_as<Parameter>(node) != nullptr)
            tensor = reference::unpack(tensor.type, 1, trainer.tensor(name));
        if (graph.op_as<Scalar>(node) != nullptr) tensor.values = {name == "seed_low" ? 7.0 : 0.0};
    }
    const std::vector<float> pictures = bars();
    sources["v"].values.assign(pictures.begin(), pictures.end());
    return results_of(graph, sources, kSamples);
}

TEST(ConvRbmLibrary, StepsAreThoseOfTheReferenceAndDreamsComeClose) {
    const BuiltLibraries built(machine(), {.batch = kSamples});
    Trainer trainer(built.train()), twin(built.train(), /*threads=*/2);
    const GraphResults expected = expected_of(trainer);
    step(trainer, 0.5f);
    for (const char* name : {"r.w", "r.b", "r.c"}) {
        const reference::Tensor& gradient = expected.at(std::string("gradient ") + name);
        const reference::Tensor actual =
            reference::unpack(gradient.type, 1, trainer.tensor(std::string("gradient ") + name));
        EXPECT_LT(relative_difference(actual, gradient), 1e-4) << name;
    }
    const float first = trainer.loss();
    EXPECT_NEAR(first, expected.at("output loss").values[0], 1e-5);
    step(twin, 0.5f);
    for (int i = 0; i < 200; i++) {
        step(trainer, 0.5f);
        step(twin, 0.5f);
    }
    EXPECT_TRUE(trainer.weights() == twin.weights());
    EXPECT_LT(trainer.loss(), 0.5f * first);
}

}  // namespace
}  // namespace emulsion::test
