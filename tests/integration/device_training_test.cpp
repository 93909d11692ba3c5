// Twenty steps of whole networks on the first device of an OpenCL or Vulkan driver (PoCL and
// lavapipe in the tests), against the processor's variant of the same library from the same
// weights.
//
// EMULSION_LONG_TESTS=1 in the environment: the networks of the examples too.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <random>

#include "tests/integration/integration_support.h"
#include "tests/support/golden.h"

namespace emulsion::test {
namespace {

constexpr int kSteps = 20;
constexpr int kBatches = 5;          // of 8 samples, again and again
constexpr double kTolerance = 1e-4;  // of a loss, over it
constexpr double kFactor = 4;        // of what rounding makes of a loss
constexpr double kTogether = 0.05;   // of the mean of all losses behind the first batches, over it

// Moves each weight by a unit in its last place, up or down.
void round_otherwise(const Trainer& trainer) {
    std::minstd_rand random(1);
    for (int i = 0; i < trainer.info.tensor_count; i++) {
        const emulsion_tensor& tensor = trainer.info.tensors[i];
        if (!tensor.trained) continue;
        float* values = trainer.tensor(tensor.name);
        for (size_t k = 0; k < tensor.bytes / sizeof(float); k++)
            values[k] = std::nextafter(values[k], random() % 2 == 0 ? 100.0F : -100.0F);
    }
}

// The first steps agree; how far they may be apart where a network makes much of its rounding is
// measured by a third training, on the processor, whose weights are rounded in another way.
void compare_training(const Network& network, const char* interface) {
    // Winograd rounds in another way.
    const BuiltLibraries built(network, {.batch = 8, .devices = {interface}, .exact = true});
    emulsion_device_description description;
    if (built.train().device(0, &description) != EMULSION_OK) GTEST_SKIP() << description.problem;
    Trainer processor(built.train(), 2), rounded(built.train(), 2);
    Trainer device(built.train(), 1, 0, 7, interface);
    round_otherwise(rounded);
    double of_processor = 0, of_device = 0, of_first = 0, rounding = 0;
    for (int i = 0; i < kSteps; i++) {
        for (Trainer* trainer : {&processor, &rounded, &device})
            trainer->step(static_cast<uint64_t>(i % kBatches), 8, 0.002F);
        std::cout << fmt::format(
            "step {}: {:.6f} on the processor, {:.2g} off by rounding, "
            "{:.2g} off on the device\n",
            i + 1, processor.loss(), rounded.loss() - processor.loss(),
            device.loss() - processor.loss());
        if (i < kBatches) {
            const double loss = processor.loss();
            rounding = std::max(rounding, std::abs(rounded.loss() - loss));
            EXPECT_NEAR(device.loss(), loss, std::max(kTolerance * loss, kFactor * rounding))
                << "step " << i + 1;
            of_first += loss;
        } else {
            of_processor += processor.loss();
            of_device += device.loss();
        }
    }
    EXPECT_NEAR(of_device / of_processor, 1, kTogether);
    EXPECT_LT(of_processor / (kSteps - kBatches), of_first / kBatches) << "nothing is learnt";
}

TEST(DeviceTraining, OfInvertedResiduals) { compare_training(mobile_network(), "opencl"); }

using Training = std::pair<const char*, const char*>;  // a network, an interface
class LongDeviceTraining : public ::testing::TestWithParam<Training> {};
TEST_P(LongDeviceTraining, AsOnTheProcessor) {
    if (std::getenv("EMULSION_LONG_TESTS") == nullptr)
        GTEST_SKIP() << "EMULSION_LONG_TESTS is not set";
    compare_training(golden_network(GetParam().first), GetParam().second);
}
INSTANTIATE_TEST_SUITE_P(
    Networks, LongDeviceTraining,
    ::testing::Values(Training("lenet", "opencl"), Training("resnet20", "opencl"),
                      Training("resnet18_cifar", "opencl"), Training("lenet", "vulkan"),
                      Training("resnet20", "vulkan"), Training("lenet", "cuda"),
                      Training("resnet20", "cuda"), Training("resnet18_cifar", "cuda")),
    [](const auto& test) { return std::string(test.param.first) + "_" + test.param.second; });

}  // namespace
}  // namespace emulsion::test
