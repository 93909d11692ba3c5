// Calls of variants for devices, on a device that is memory of this process: what they carry, in
// which order they may come, and what is left where the device fails.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <limits>

#include "tests/runtime/abi_device_support.h"

namespace emulsion::testing {
namespace {

// ---- Calls ----

// The device computes what the processor does, whatever the samples, and carries no byte more.
TEST(AbiDevice, CallsCarryInputsAndOutputs) {
    for (int samples : {1, 5, kBatch}) {
        DeviceNetwork processor("cpu"), network;
        processor.begin();
        network.begin();
        const emulsion_device before = network.device();
        ASSERT_EQ(processor.step(samples), EMULSION_OK);
        ASSERT_EQ(network.step(samples), EMULSION_OK) << network.error();
        EXPECT_EQ(network.loss(), processor.loss());
        const auto n = static_cast<std::size_t>(samples);
        EXPECT_EQ(std::memcmp(network.outputs(), processor.outputs(), 4 * n), 0);
        const emulsion_device& after = network.device();
        EXPECT_EQ(after.uploads - before.uploads, 1u);
        EXPECT_EQ(after.uploaded_bytes - before.uploaded_bytes, n * kWidth * 4);
        EXPECT_EQ(after.downloads - before.downloads, 3u);
        EXPECT_EQ(after.downloaded_bytes - before.downloaded_bytes,
                  4 * n + 4 + sizeof(emulsion_device_record));
        EXPECT_EQ(after.allocations, before.allocations);
        EXPECT_EQ(after.launches - before.launches, 5u) << "three kernels, two tests";
        ASSERT_EQ(network.prepare(), EMULSION_OK);
        ASSERT_EQ(network.run(samples), EMULSION_OK);
    }
}

TEST(AbiDevice, DownloadsLeaveTheHeadOfTheState) {
    DeviceNetwork network, processor("cpu");
    for (DeviceNetwork* one : {&network, &processor}) {
        one->begin();
        ASSERT_EQ(one->step(), EMULSION_OK);
        ASSERT_EQ(one->step(), EMULSION_OK);
    }
    EXPECT_NE(std::memcmp(network.weights(), processor.weights(), 64), 0);
    ASSERT_EQ(network.download(EMULSION_PARAMETERS), EMULSION_OK);
    EXPECT_EQ(std::memcmp(network.weights(), processor.weights(), 64), 0);
    ASSERT_EQ(network.download(EMULSION_STATE), EMULSION_OK);
    EXPECT_EQ(network.state()[0], 7u);
    EXPECT_EQ(network.state()[1], 2u);
    ASSERT_EQ(network.forward_backward(), EMULSION_OK);
    ASSERT_EQ(processor.forward_backward(), EMULSION_OK);
    ASSERT_EQ(network.download(EMULSION_GRADIENTS), EMULSION_OK);
    EXPECT_EQ(std::memcmp(network.gradients(), processor.gradients(), 64), 0);
}

TEST(AbiDevice, ClassesThatAreNotCarriedAreRefused) {
    for (const char* device : {"cpu", "fake"}) {
        DeviceNetwork network(device);
        network.begin();
        for (int which :
             {-1, static_cast<int>(EMULSION_PREPARED), static_cast<int>(EMULSION_WORKSPACE),
              static_cast<int>(EMULSION_INSTANCE), static_cast<int>(EMULSION_CLASSES)}) {
            EXPECT_EQ(network.upload(which), EMULSION_INVALID_ARGUMENT) << which;
            EXPECT_EQ(network.error(), "memory_class is " + std::to_string(which) +
                                           ", but must be that of parameters or state");
            EXPECT_EQ(network.download(which), EMULSION_INVALID_ARGUMENT) << which;
            EXPECT_EQ(network.error(), "memory_class is " + std::to_string(which) +
                                           ", but must be that of parameters, state or gradients");
        }
        EXPECT_EQ(network.upload(EMULSION_GRADIENTS), EMULSION_INVALID_ARGUMENT);
        network.fake.library.bytes[EMULSION_GRADIENTS] = 0;
        EXPECT_EQ(network.download(EMULSION_GRADIENTS), EMULSION_INVALID_ARGUMENT);
    }
}

TEST(AbiDevice, WhatIsNotFiniteIsFound) {
    const float infinity = std::numeric_limits<float>::infinity();
    DeviceNetwork network;
    network.begin();
    network.inputs()[3] = infinity;
    EXPECT_EQ(network.step(), EMULSION_NOT_FINITE);
    EXPECT_EQ(network.error().substr(0, 18), "the loss of step 0") << network.error();
    EXPECT_EQ(network.outputs()[1], 0.0f);
    EXPECT_EQ(network.state()[1], 0u);
    EXPECT_EQ(network.update(), EMULSION_NOT_FINITE);
    network.inputs()[3] = 1;
    ASSERT_EQ(network.step(), EMULSION_OK) << network.error();

    static emulsion_kernel backward;
    backward = network.fake.kernels[1];
    network.fake.kernels[1] = [](emulsion_instance* instance) {
        const int status = backward(instance);
        if (instance->device->dry == 0) {
            reinterpret_cast<float*>(instance->descriptors[kGradient].device)[15] =
                std::numeric_limits<float>::quiet_NaN();
        }
        return status;
    };
    EXPECT_EQ(network.step(), EMULSION_NOT_FINITE);
    EXPECT_EQ(network.error().substr(0, 41), "the gradient of w is not finite at step 1")
        << network.error();
    EXPECT_EQ(network.update(), EMULSION_NOT_FINITE);
}

// ---- Outputs later ----

// Each call writes the outputs of the one before it; kernels of two calls in turn use two sets of
// slots, and what is downloaded waits for the mark of its own.
TEST(AbiDevice, OutputsComeWithTheNextCall) {
    DeviceNetwork twin, network;
    twin.begin();
    network.begin();
    network.later = 1;
    std::vector<float> losses;
    std::vector<std::uint64_t> places;
    for (int i = 0; i < 5; i++) {
        for (DeviceNetwork* one : {&twin, &network})
            one->inputs()[i] = 2.0f + static_cast<float>(i);
        ASSERT_EQ(twin.step(), EMULSION_OK);
        losses.push_back(twin.loss());
        network.loss() = -1;
        fake_devices().marked.clear();
        fake_devices().waited.clear();
        ASSERT_EQ(network.step(), EMULSION_OK) << network.error();
        EXPECT_EQ(network.loss(), i == 0 ? -1 : losses[static_cast<std::size_t>(i) - 1]);
        EXPECT_EQ(network.state()[1], static_cast<std::uint64_t>(i) + 1);
        EXPECT_EQ(fake_devices().marked, std::vector<int>{i % 2});
        EXPECT_EQ(fake_devices().waited,
                  i == 0 ? std::vector<int>() : std::vector<int>(3, (i - 1) % 2));
        places.push_back(network.instance()->descriptors[kX].device);
    }
    ASSERT_EQ(network.wait(), EMULSION_OK);
    EXPECT_EQ(network.loss(), losses.back());
    ASSERT_EQ(network.wait(), EMULSION_OK);
    EXPECT_NE(places[0], places[1]);
    EXPECT_EQ(places,
              (std::vector<std::uint64_t>{places[0], places[1], places[0], places[1], places[0]}));
    for (DeviceNetwork* one : {&twin, &network})
        ASSERT_EQ(one->download(EMULSION_PARAMETERS), EMULSION_OK);
    EXPECT_EQ(std::memcmp(network.weights(), twin.weights(), 64), 0);
    for (int i = 0; i < 3; i++) {
        for (DeviceNetwork* one : {&twin, &network}) {
            one->inputs()[i] = 7;
            ASSERT_EQ(one->prepare(), EMULSION_OK);
            ASSERT_EQ(one->run(3), EMULSION_OK);
        }
        ASSERT_EQ(network.wait(), EMULSION_OK);
        EXPECT_EQ(std::memcmp(network.outputs(), twin.outputs(), 12), 0);
    }
}

// Whichever function comes next tells of the bad step and does nothing else; the steps behind it
// go on as if it had not been made.
TEST(AbiDevice, AFaultComesWithTheNextCall) {
    for (int next = 0; next < 8; next++) {
        SCOPED_TRACE(next);
        DeviceNetwork twin, network;
        twin.begin();
        network.begin();
        ASSERT_EQ(twin.step(), EMULSION_OK);
        ASSERT_EQ(network.prepare(), EMULSION_OK);
        network.later = 1;
        ASSERT_EQ(network.step(), EMULSION_OK);
        network.inputs()[3] = std::numeric_limits<float>::quiet_NaN();
        ASSERT_EQ(next == 7 ? network.forward_backward() : network.step(), EMULSION_OK);
        network.inputs()[3] = twin.inputs()[3];
        EXPECT_EQ(network.step(0), EMULSION_INVALID_ARGUMENT) << "which leaves it under way";
        EXPECT_EQ(next == 0   ? network.wait()
                  : next == 1 ? network.step()
                  : next == 2 ? network.forward_backward()
                  : next == 3 ? network.upload(EMULSION_STATE)
                  : next == 4 ? network.download(EMULSION_PARAMETERS)
                  : next == 5 ? network.prepare()
                  : next == 6 ? network.run()
                              : network.update(),
                  EMULSION_NOT_FINITE);
        EXPECT_EQ(network.error(),
                  "the loss of step 1 is NaN: this step has changed nothing, but an earlier one "
                  "may have made parameters that are not finite");
        EXPECT_EQ(network.outputs()[1], 0.0f);
        EXPECT_EQ(network.state()[1], 1u);
        EXPECT_EQ(network.wait(), EMULSION_OK);
        EXPECT_EQ(network.update(), EMULSION_NOT_FINITE);
        for (DeviceNetwork* one : {&twin, &network}) {
            ASSERT_EQ(one->step(), EMULSION_OK) << network.error();
            ASSERT_EQ(one->download(EMULSION_PARAMETERS), EMULSION_OK);
        }
        EXPECT_EQ(network.loss(), twin.loss());
        EXPECT_EQ(std::memcmp(network.weights(), twin.weights(), 64), 0);
        EXPECT_EQ(network.state()[1], 2u);
    }
}

// The values that init writes meanwhile are not those of the step that is taken back.
TEST(AbiDevice, AFaultOfAnEarlierStateLeavesTheNewOne) {
    DeviceNetwork network;
    network.begin();
    network.later = 1;
    network.inputs()[3] = std::numeric_limits<float>::infinity();
    ASSERT_EQ(network.step(), EMULSION_OK);
    ASSERT_EQ(network.init(9), EMULSION_OK);
    network.state()[1] = 40;
    EXPECT_EQ(network.upload(EMULSION_STATE), EMULSION_NOT_FINITE);
    EXPECT_EQ(network.state()[1], 40u);
    network.inputs()[3] = 1;
    ASSERT_EQ(network.upload(), EMULSION_OK);
    EXPECT_EQ(network.step(), EMULSION_OK) << network.error();
    EXPECT_EQ(network.state()[1], 41u);
}

TEST(AbiDevice, UnbindDropsWhatIsUnderWay) {
    for (bool binds : {false, true}) {
        DeviceNetwork network;
        network.begin();
        network.later = 1;
        network.loss() = -1;
        ASSERT_EQ(network.step(), EMULSION_OK);
        ASSERT_EQ(binds ? network.bind() : network.unbind(), EMULSION_OK);
        EXPECT_EQ(network.loss(), -1);
        EXPECT_EQ(network.wait(), binds ? EMULSION_OK : EMULSION_NOT_BOUND);
        EXPECT_EQ(network.loss(), -1);
    }
}

TEST(AbiDevice, OnAProcessorNothingComesLater) {
    DeviceNetwork network("cpu"), twin("cpu");
    network.begin();
    twin.begin();
    network.later = 1;
    ASSERT_EQ(network.step(), EMULSION_OK);
    ASSERT_EQ(twin.step(), EMULSION_OK);
    EXPECT_EQ(network.loss(), twin.loss());
    EXPECT_EQ(network.wait(), EMULSION_OK);
    network.inputs()[3] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_EQ(network.step(), EMULSION_NOT_FINITE);
    EXPECT_EQ(network.wait(), EMULSION_OK);
}

// ---- Order ----

TEST(AbiDevice, ValuesAreUploadedBeforeTheyAreUsed) {
    DeviceNetwork network;
    ASSERT_EQ(network.bind(), EMULSION_OK);
    network.state()[2] = 0;
    EXPECT_EQ(network.upload(EMULSION_STATE), EMULSION_NOT_READY);
    EXPECT_EQ(network.error(),
              "parameters and state have no values: call init, or load a checkpoint");
    ASSERT_EQ(network.init(), EMULSION_OK);
    const std::string lacks = "the device lacks parameters or state: call upload for both";
    for (int which : {-1, static_cast<int>(EMULSION_STATE)}) {
        if (which >= 0) {
            ASSERT_EQ(network.upload(which), EMULSION_OK);
        }
        EXPECT_EQ(network.step(), EMULSION_NOT_READY);
        EXPECT_EQ(network.error(), lacks);
        EXPECT_EQ(network.forward_backward(), EMULSION_NOT_READY);
        EXPECT_EQ(network.download(EMULSION_STATE), EMULSION_NOT_READY);
        EXPECT_EQ(network.error(), lacks);
    }
    ASSERT_EQ(network.upload(EMULSION_PARAMETERS), EMULSION_OK);
    ASSERT_EQ(network.step(), EMULSION_OK) << network.error();
    ASSERT_EQ(network.init(8), EMULSION_OK);
    for (int call = 0; call < 2; call++) {
        EXPECT_EQ(call == 0 ? network.step() : network.download(EMULSION_PARAMETERS),
                  EMULSION_NOT_READY);
        EXPECT_EQ(network.error(),
                  "the device holds those of step 1 before init or a checkpoint: upload parameters "
                  "and state again");
    }
    ASSERT_EQ(network.upload(EMULSION_PARAMETERS), EMULSION_OK);
    EXPECT_EQ(network.step(), EMULSION_NOT_READY) << "the state is of the time before";
    ASSERT_EQ(network.upload(EMULSION_STATE), EMULSION_OK);
    EXPECT_EQ(network.step(), EMULSION_OK);
}

// What the header promises of an instance on a device.
struct Model {
    bool has_values = false, is_bound = false, is_prepared = false, has_gradients = false;
    bool has_parameters = false, has_state = false;  // on the device
    int step = 0, gradient_step = 0, device_step = -1;

    int upload(bool& held) {
        if (!has_values) return EMULSION_NOT_READY;
        if (device_step != step) has_parameters = has_state = false;
        device_step = step;
        held = true;
        return EMULSION_OK;
    }
    int needs_values() const {
        const bool are_there = has_values && has_parameters && has_state && device_step == step;
        return are_there ? EMULSION_OK : EMULSION_NOT_READY;
    }
    int update() {
        has_gradients = false;
        step++;
        device_step++;
        return EMULSION_OK;
    }
    int act(int action) {
        if (action == 0) {
            has_values = true;
            step = 0;
            return EMULSION_OK;
        }
        if (action == 1) {
            const Model before = *this;
            *this = {};
            has_values = before.has_values;
            step = before.step;
            is_bound = true;
            return EMULSION_OK;
        }
        if (!is_bound) return EMULSION_NOT_BOUND;
        if (action == 2) return is_prepared = true, EMULSION_OK;
        if (action == 3) return is_prepared ? EMULSION_OK : EMULSION_NOT_READY;
        if (action == 4 || action == 6) {
            if (needs_values() != EMULSION_OK) return EMULSION_NOT_READY;
            has_gradients = action == 4;
            gradient_step = step;
            return action == 4 ? EMULSION_OK : update();
        }
        if (action == 5)
            return has_gradients && gradient_step == step ? update() : EMULSION_NOT_READY;
        if (action == 7) return is_bound = false, EMULSION_OK;
        if (action == 8) return upload(has_parameters);
        if (action == 9) return upload(has_state);
        return needs_values();
    }
};

int act(DeviceNetwork& network, int action) {
    switch (action) {
        case 0:
            return network.init();
        case 1:
            return network.bind();
        case 2:
            return network.prepare();
        case 3:
            return network.run();
        case 4:
            return network.forward_backward();
        case 5:
            return network.update();
        case 6:
            return network.step();
        case 7:
            return network.unbind();
        case 8:
            return network.upload(EMULSION_PARAMETERS);
        case 9:
            return network.upload(EMULSION_STATE);
        default:
            return network.download(EMULSION_PARAMETERS);
    }
}

TEST(AbiDevice, EverySequenceOfUpToFourCalls) {
    constexpr int kActions = 11;
    // All begin alike: with nothing, with values on a device, and so where outputs come later.
    for (int way = 0; way < 3; way++) {
        const bool begins = way > 0;
        for (int length = 1, count = kActions; length <= 4; length++, count *= kActions) {
            for (int number = 0; number < count; number++) {
                DeviceNetwork network;
                Model model;
                network.later = way == 2 ? 1 : 0;
                std::string text;
                for (int action : {0, 1, 8, 9}) {
                    if (!begins) continue;
                    ASSERT_EQ(act(network, action), model.act(action)) << network.error();
                }
                for (int i = 0, rest = number; i < length; i++, rest /= kActions) {
                    const int action = rest % kActions;
                    text += " " + std::to_string(action);
                    const int expected = model.act(action), status = act(network, action);
                    ASSERT_EQ(status, expected) << way << text << ": " << network.error();
                }
                ASSERT_EQ(fake_devices().open, model.is_bound ? 1 : 0) << text;
            }
        }
    }
}

// ---- Faults in calls ----

TEST(AbiDevice, ALostDeviceIsToldUntilItIsBoundAnew) {
    struct Fault {
        const char* function;
        const char* text;
    };
    for (const Fault& fault :
         std::vector<Fault>{{"upload", "device fake:0: the fake's upload fails"},
                            {"launch", "kernel 0 (forward): the fake's launch fails"},
                            {"download", "device fake:0: the fake's download fails"},
                            {"mark", "device fake:0: the fake's mark fails"},
                            {"mark", "device fake:0: the fake's mark fails"},
                            {"test", "device fake:0: the fake's test fails"}}) {
        SCOPED_TRACE(fault.function);
        DeviceNetwork network;
        network.begin();
        fake_devices().failing = fault.function;
        EXPECT_EQ(network.step(), EMULSION_DEVICE_ERROR);
        EXPECT_EQ(network.error(), fault.text);
        EXPECT_EQ(network.state()[1], 0u);
        fake_devices().failing = "";
        for (int call = 0; call < 4; call++) {
            EXPECT_EQ(call == 0   ? network.step()
                      : call == 1 ? network.forward_backward()
                      : call == 2 ? network.upload(EMULSION_STATE)
                                  : network.download(EMULSION_PARAMETERS),
                      EMULSION_DEVICE_ERROR);
            EXPECT_EQ(network.error(),
                      "device fake:0: the fake's " + std::string(fault.function) + " fails");
        }
        EXPECT_EQ(network.bind(), EMULSION_OK);
        EXPECT_EQ(fake_devices().open, 1);
        EXPECT_EQ(network.upload(), EMULSION_OK);
        EXPECT_EQ(network.step(), EMULSION_OK) << network.error();
    }
}

TEST(AbiDevice, AFaultInPrepareLeavesNothingPrepared) {
    DeviceNetwork network;
    network.begin();
    ASSERT_EQ(network.prepare(), EMULSION_OK);
    fake_devices().failing = "finish";
    EXPECT_EQ(network.prepare(), EMULSION_DEVICE_ERROR);
    EXPECT_EQ(network.run(), EMULSION_NOT_READY);
}

TEST(AbiDevice, AProfileWaitsForEachKernel) {
    DeviceNetwork network;
    std::vector<int> kernels;
    network.options.profile_self = &kernels;
    network.options.profile = [](void* self, int kernel, double) {
        static_cast<std::vector<int>*>(self)->push_back(kernel);
    };
    network.begin();
    const int before = fake_devices().finishes;
    ASSERT_EQ(network.step(), EMULSION_OK);
    EXPECT_EQ(kernels, (std::vector<int>{0, 1, 2}));
    EXPECT_EQ(fake_devices().finishes - before, 3);
}

// The driver's threads and memory stay with the parent.
TEST(AbiDevice, AForkedChildIsRefused) {
    DeviceNetwork network;
    network.begin();
    const pid_t child = fork();
    if (child == 0) {
        const bool are_refused = network.step() == EMULSION_FORKED &&
                                 network.upload(EMULSION_STATE) == EMULSION_FORKED &&
                                 network.download(EMULSION_STATE) == EMULSION_FORKED;
        const bool is_closed = network.unbind() == EMULSION_OK && fake_devices().open == 0;
        _exit(are_refused && !is_closed ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(network.step(), EMULSION_OK);
}

}  // namespace
}  // namespace emulsion::testing
