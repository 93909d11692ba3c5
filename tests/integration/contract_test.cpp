// What the C interface promises, kept by whole libraries: labels, gradients and losses that are not
// finite, memory that nobody has written to.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "runtime/data/layout.h"
#include "runtime/support/machine_speed.h"
#include "tests/integration/integration_support.h"
#include "tests/support/graph_results.h"

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

// A map of three classes for each pixel, and the distribution of the whole over them.
Network pixel_network() {
    return parse_network(R"(network pixels
optimizer sgd {learning_rate=0.1}
schedule constant
graph pixels {
  %image = input() : f32[n,2,3,4]
  %w = parameter() {init="he", fan_in=2} : f32[3,2,1,1]
  %scores = conv2d(%image, %w) : f32[n,3,3,4]
  %mask = input() : i32[n,1,3,4]
  %each = softmax_cross_entropy(%scores, %mask) {ignored=[-100]} : f32[n,1,3,4], f32[n,1,3,4]
  %sum = reduce(%each:0) : f32[]
  %counts = label_weight(%mask) {ignored=[-100]} : f32[n,1,3,4]
  %counted = reduce(%counts) : f32[]
  %mean = weighted_mean(%sum, %counted) : f32[]
  %correct = reduce(%each:1) : f32[]
  %means = reduce(%scores) {keep_samples=true, keep_channels=true, mean=true} : f32[n,3]
  %shares = input() : f32[n,3]
  %whole.each = distribution_cross_entropy(%means, %shares) : f32[n]
  %whole = reduce(%whole.each) {mean=true} : f32[]
  %loss = add(%mean, %whole) : f32[]
  output "correct" %correct
  output "counted" %counted
  output "whole.loss" %whole
  output "scores" %scores
  output "loss" %loss
}
)",
                         "pixels.emu");
}

// What counts of a part batch is divided by what counts of it, with the same bits for every number
// of threads and every variant that fuses multiply and add; where no pixel counts, the mean is 0.
TEST(Contract, PixelsThatAreIgnored) {
    const Network network = pixel_network();
    const BuiltLibraries built(network, {.batch = kBatch, .target = "portable"});
    constexpr int kPixels = 12;
    std::vector<float> losses;
    for (const int threads : {1, 2}) {
        for (int variant = 1; variant <= built.train().info()->variant_count; variant++) {
            if (!can_run(built.train().info()->variants[variant - 1])) continue;
            Trainer trainer(built.train(), threads, variant);
            ASSERT_EQ(trainer.info.inputs[1].ignored, -100);
            ASSERT_EQ(trainer.info.inputs[2].distribution, 1);
            reference::Sources sources;
            trainer.ports.fill(1, 3);
            auto* mask = reinterpret_cast<int32_t*>(trainer.ports.input(1));
            for (int i = 0; i < kBatch; i++) {
                mask[i * kPixels + i] = -100;
                for (int c = 0; c < 3; c++)
                    trainer.ports.input(2)[3 * i + c] = c == i % 3 ? 0.5f : 0.25f;
            }
            sources["w"] = reference::unpack(plain_type({3, 2, 1, 1}), 1, trainer.tensor("w"));
            const int samples = 5;
            for (int i = 0; i < 3; i++) {
                const Node& node =
                    network.graph.node(network.graph.find(trainer.info.inputs[i].name));
                sources[node.name] =
                    reference::unpack(node.types[0], samples, trainer.ports.input(i));
            }
            ASSERT_EQ(
                trainer.library.forward_backward(trainer.instance(), trainer.ports.call(samples)),
                EMULSION_OK)
                << error(trainer);
            const GraphResults expected = results_of(network.graph, sources, samples);
            for (const char* name : {"loss", "whole.loss", "correct", "counted"}) {
                const std::string output = std::string("output ") + name;
                EXPECT_NEAR(*trainer.ports.output(name), expected.at(output).values[0], 1e-5)
                    << name;
            }
            EXPECT_EQ(*trainer.ports.output("counted"), samples * (kPixels - 1));
            if (std::string(trainer.info.variants[variant - 1]) != "x86-64")
                losses.push_back(trainer.loss());
            std::fill_n(mask, kPixels, -100);
            ASSERT_EQ(trainer.library.forward_backward(trainer.instance(), trainer.ports.call(1)),
                      EMULSION_OK);
            EXPECT_EQ(*trainer.ports.output("counted"), 0);
            EXPECT_EQ(trainer.loss(), *trainer.ports.output("whole.loss"));
        }
    }
    for (const float loss : losses) EXPECT_EQ(loss, losses[0]);
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
