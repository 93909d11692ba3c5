// Calls: order of the stages, the loss test, state, errors of kernels, profile,
// floating-point mode.
#include <gtest/gtest.h>
#include <pthread.h>

#include <cfenv>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "tests/runtime/abi_support.h"

namespace emulsion::testing {
namespace {

TEST(AbiCall, TakesTheSmallestPlanThatFits) {
    static int chosen;
    FakeLibrary fake;
    emulsion_kernel kernels[3] = {[](emulsion_instance*) { return chosen = 1, 0; },
                                  [](emulsion_instance*) { return chosen = 4, 0; },
                                  [](emulsion_instance*) { return chosen = 8, 0; }};
    emulsion_plan plans[3] = {fake.plan, fake.plan, fake.plan};
    const int batches[3] = {1, 4, 8};
    for (int i = 0; i < 3; i++) {
        plans[i].batch = batches[i];
        plans[i].forward = {&kernels[i], 1, 0};
    }
    fake.variants[0].plans = plans;
    fake.variants[0].plan_count = 3;
    FakeNetwork network(fake, 1);
    const int expected[kBatch] = {1, 4, 4, 4, 8, 8, 8, 8};
    for (int samples = 1; samples <= kBatch; samples++) {
        ASSERT_EQ(network.run(samples), EMULSION_OK);
        EXPECT_EQ(chosen, expected[samples - 1]) << samples << " samples";
    }
}

TEST(AbiCall, StepIsForwardBackwardThenUpdate) {
    FakeNetwork whole(2), parts(1);
    for (int step = 0; step < 5; step++) {
        ASSERT_EQ(whole.step(kBatch - step, 0.1f), EMULSION_OK);
        ASSERT_EQ(parts.forward_backward(kBatch - step), EMULSION_OK);
        EXPECT_EQ(parts.state()[1], static_cast<std::uint64_t>(step));
        ASSERT_EQ(parts.update(0.1f), EMULSION_OK);
        EXPECT_EQ(whole.loss(), parts.loss());
    }
    for (int i = 0; i < kWidth; i++) EXPECT_EQ(whole.weights()[i], parts.weights()[i]);
    EXPECT_EQ(whole.state()[1], 5u);
}

TEST(AbiCall, KernelsSeeSeedAndStepOfTheState) {
    static std::vector<std::uint32_t> seen;
    FakeLibrary fake;
    fake.backward[0] = [](emulsion_instance* instance) {
        seen = {instance->seed_low, instance->seed_high, instance->step_low, instance->step_high,
                static_cast<std::uint32_t>(instance->samples)};
        return 0;
    };
    FakeNetwork network(fake, 1);
    network.state()[0] = 0x1122334455667788u;
    network.state()[1] = 0x00000001ffffffffu;
    ASSERT_EQ(network.step(3, 0.1f), EMULSION_OK);
    EXPECT_EQ(seen, (std::vector<std::uint32_t>{0x55667788u, 0x11223344u, 0xffffffffu, 1u, 3u}));
    EXPECT_EQ(network.state()[1], 0x0000000200000000u);
}

TEST(AbiCall, LossThatIsNotFiniteChangesNothing) {
    const float bad[] = {std::numeric_limits<float>::quiet_NaN(),
                         std::numeric_limits<float>::infinity(),
                         -std::numeric_limits<float>::infinity()};
    for (const float value : bad) {
        FakeNetwork network(2);
        ASSERT_EQ(network.step(kBatch, 0.1f), EMULSION_OK);
        const std::vector<float> before(network.weights(), network.weights() + kWidth);
        const float good = network.inputs()[5];
        network.inputs()[5] = value;
        EXPECT_EQ(network.step(kBatch, 0.1f), EMULSION_NOT_FINITE);
        EXPECT_EQ(network.error(),
                  std::string("the loss of step 1 is ") + (std::isnan(value) ? "NaN" : "infinite") +
                      ": this step has changed nothing, but an earlier one may have made "
                      "parameters that are not finite");
        EXPECT_EQ(network.update(0.1f), EMULSION_NOT_FINITE);
        EXPECT_STREQ(network.error(),
                     "there are no gradients: the last loss or a gradient was not finite");
        EXPECT_EQ(before, std::vector<float>(network.weights(), network.weights() + kWidth));
        EXPECT_EQ(network.state()[1], 1u);
        network.inputs()[5] = good;
        EXPECT_EQ(network.step(kBatch, 0.1f), EMULSION_OK);
        EXPECT_EQ(network.state()[1], 2u);
    }
}

TEST(AbiCall, FirstErrorOfAKernelEndsTheCall) {
    FakeLibrary fake;
    fake.backward[0] = [](emulsion_instance*) { return -4; };
    FakeNetwork network(fake, 1);
    const std::vector<float> before(network.weights(), network.weights() + kWidth);
    EXPECT_EQ(network.step(1, 0.1f), -4);
    EXPECT_STREQ(network.error(), "kernel 1 (backward) failed a check with Halide's error -4");
    EXPECT_EQ(before, std::vector<float>(network.weights(), network.weights() + kWidth));
}

TEST(AbiCall, ProfileNamesEveryKernelInOrder) {
    std::vector<int> kernels;
    emulsion_options options = {};
    options.profile_self = &kernels;
    options.profile = [](void* self, int kernel, double seconds) {
        EXPECT_GE(seconds, 0);
        EXPECT_LT(seconds, 10);
        static_cast<std::vector<int>*>(self)->push_back(kernel);
    };
    FakeLibrary fake;
    FakeNetwork network(fake, 2, &options);
    ASSERT_EQ(network.step(kBatch, 0.1f), EMULSION_OK);
    ASSERT_EQ(emulsion_library_prepare(&fake.library, network.instance()), EMULSION_OK);
    EXPECT_EQ(kernels, (std::vector<int>{0, 1, 2, 3}));
}

#if defined(__x86_64__)
// R4: kernels run with denormals flushed and rounding to nearest, whatever the caller's mode, on
// every worker.
TEST(AbiCall, FloatingPointModeIsSetOnEveryWorkerAndRestored) {
    constexpr unsigned kMode = 0x1f80u | 0x8040u;
    static unsigned modes[64];
    FakeLibrary fake;
    fake.forward[0] = [](emulsion_instance* instance) {
        instance->descriptors[kLoss].host ? void() : std::abort();
        *static_cast<float*>(instance->descriptors[kLoss].host) = 0;
        const auto task = [](void*, int index, std::uint8_t*) {
            volatile float sink = 0;
            for (int i = 0; i < 20000; i++) sink = sink + 1;
            modes[index] = __builtin_ia32_stmxcsr();
            return 0;
        };
        return halide_do_par_for(instance->workers, task, 0, 64, nullptr);
    };
    FakeNetwork network(fake, 4);
    const unsigned original = __builtin_ia32_stmxcsr();
    const unsigned odd = 0x1f80u | 0x4000u | 0x0020u;  // round up, a sticky flag
    for (int round = 0; round < 20; round++) {
        __builtin_ia32_ldmxcsr(odd);
        const int status = network.step(kBatch, 0.1f);
        const unsigned after = __builtin_ia32_stmxcsr();
        __builtin_ia32_ldmxcsr(original);
        ASSERT_EQ(status, EMULSION_OK);
        ASSERT_EQ(after, odd);
        for (const unsigned mode : modes) ASSERT_EQ(mode & ~0x3fu, kMode);
    }
}
#endif

// R5: programs of small devices call from threads with small stacks.
TEST(AbiCall, RunsOnAStackOf64KiB) {
    FakeNetwork network(2);
    ASSERT_EQ(network.status, EMULSION_OK);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    ASSERT_EQ(pthread_attr_setstacksize(&attributes, 64 * 1024), 0);
    pthread_t thread;
    const auto body = [](void* argument) -> void* {
        auto* inner = static_cast<FakeNetwork*>(argument);
        const bool good = inner->bind() == EMULSION_OK && inner->run(kBatch) == EMULSION_OK &&
                          inner->step(kBatch, 0.1f) == EMULSION_OK && inner->run(0) != EMULSION_OK;
        return good ? argument : nullptr;
    };
    ASSERT_EQ(pthread_create(&thread, &attributes, body, &network), 0);
    void* result = nullptr;
    pthread_join(thread, &result);
    pthread_attr_destroy(&attributes);
    EXPECT_EQ(result, &network);
}

}  // namespace
}  // namespace emulsion::testing
