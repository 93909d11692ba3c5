// What the C interface promises, kept by whole libraries: labels, gradients and losses that are not
// finite, memory that nobody has written to.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "runtime/data/layout.h"
#include "tests/integration/integration_support.h"

namespace emulsion::test {
namespace {

constexpr int kBatch = 8;

int step(Trainer& trainer, float learning_rate = 0.01f) {
    return trainer.library.step(trainer.instance(), trainer.ports.call(kBatch), learning_rate);
}

std::string error(const Trainer& trainer) { return trainer.library.error(trainer.instance()); }

TEST(Contract, LabelsAreClasses) {
    const BuiltLibraries built(tiny_network(), {.batch = kBatch});
    Trainer trainer(built.train());
    EXPECT_EQ(trainer.info.inputs[0].classes, 0);
    EXPECT_EQ(trainer.info.inputs[1].classes, 3);
    trainer.ports.fill(1, 3);
    const auto weights = trainer.weights();
    for (const int32_t label : {3, -1, std::numeric_limits<int32_t>::min()}) {
        trainer.ports.labels()[2] = label;
        EXPECT_EQ(step(trainer), EMULSION_INVALID_ARGUMENT);
        EXPECT_EQ(error(trainer), "input 'label' of sample 2 is " + std::to_string(label) +
                                      ", but must be a class: 0 to 2");
    }
    EXPECT_TRUE(trainer.weights() == weights);
    trainer.ports.labels()[2] = 2;
    EXPECT_EQ(step(trainer), EMULSION_OK);
}

void set_tensor(Trainer& trainer, const std::string& name, float value) {
    const emulsion_tensor& tensor = tensor_named(trainer.info, name);
    std::vector<float> values(logical_elements(tensor));
    for (size_t i = 0; i < values.size(); i++) values[i] = i % 2 == 0 ? value : -value;
    pack(tensor, values.data(), trainer.tensor(name));
}

// Weights and pictures whose scores and loss are large, but whose gradient overflows.
void make_gradients_overflow(Trainer& trainer) {
    set_tensor(trainer, "dense1.w", 1e-30f);
    set_tensor(trainer, "dense2.w", 1e30f);
    trainer.ports.fill(1, trainer.classes);
    for (int i = 0; i < 4 * kBatch; i++) trainer.ports.input(0)[i] = i % 4 == 0 ? 1e20f : 0;
}

TEST(Contract, AGradientThatOverflowsLeavesTheParametersAlone) {
    const BuiltLibraries built(tiny_network(), {.batch = kBatch});
    for (const int threads : {1, 2}) {
        Trainer trainer(built.train(), threads);
        make_gradients_overflow(trainer);
        const auto weights = trainer.weights(), state = trainer.state();
        EXPECT_EQ(step(trainer), EMULSION_NOT_FINITE);
        EXPECT_TRUE(std::isfinite(trainer.loss())) << trainer.loss();
        EXPECT_EQ(error(trainer).find("the gradient of dense1.w is not finite at step 0: "), 0u)
            << error(trainer);
        EXPECT_TRUE(trainer.weights() == weights && trainer.state() == state);
        EXPECT_EQ(trainer.library.update(trainer.instance(), 0.01f), EMULSION_NOT_FINITE);
        EXPECT_EQ(trainer.library.init(7, trainer.memory.get()), EMULSION_OK);
        trainer.step(1, kBatch);
    }
}

// Where updates are at once it is found out too late, and said so.
TEST(Contract, UpdatesAtOncePromiseNothingOfParameters) {
    const BuiltLibraries built(tiny_network(), {.batch = kBatch, .update_at_once = true});
    Trainer trainer(built.train());
    make_gradients_overflow(trainer);
    EXPECT_EQ(step(trainer), EMULSION_OK);
    EXPECT_FALSE(std::isfinite(trainer.tensor("dense1.w")[0]));
    trainer.ports.input(0)[0] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_EQ(step(trainer), EMULSION_NOT_FINITE);
    EXPECT_EQ(
        error(trainer),
        "the loss of step 1 is NaN: this step has changed nothing, but an earlier one may have "
        "made parameters that are not finite");
}

// A program that adds up what is right adds nothing for a loss that is none.
TEST(Contract, NothingIsCorrectWhereTheLossIsNotFinite) {
    const BuiltLibraries built(tiny_network(), {.batch = kBatch});
    Trainer trainer(built.train());
    trainer.step(1, kBatch);
    for (int place = 0; place < 4 * kBatch; place++) {
        trainer.ports.fill(static_cast<uint64_t>(place), trainer.classes);
        trainer.ports.input(0)[place] = std::numeric_limits<float>::quiet_NaN();
        EXPECT_EQ(step(trainer), EMULSION_NOT_FINITE);
        EXPECT_EQ(*trainer.ports.output("correct"), 0.0f);
    }
}

// Memory of the C library holds anything, NaN too: each value that a step tests or reads is written
// before.
TEST(Contract, GradientsNeedNoFirstValues) {
    for (const Network& network : {tiny_network(), small_network(), residual_network()}) {
        const BuiltLibraries built(network, {.batch = kBatch});
        Trainer trainer(built.train(), 2), clean(built.train(), 2);
        const size_t bytes = trainer.memory.bytes(EMULSION_GRADIENTS).size();
        trainer.memory.set(EMULSION_GRADIENTS, std::vector<std::byte>(bytes, std::byte{0xff}));
        for (uint64_t i = 0; i < 2; i++) {
            trainer.step(i, kBatch);
            clean.step(i, kBatch);
        }
        EXPECT_TRUE(trainer.weights() == clean.weights()) << network.name;
    }
}

}  // namespace
}  // namespace emulsion::test
