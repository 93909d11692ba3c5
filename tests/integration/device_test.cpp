// Whole libraries with a variant for devices, on the first one of each interface that is at hand
// (PoCL and lavapipe in the tests): against the processor's variant of the same library.
//
// EMULSION_LONG_TESTS=1 in the environment: lenet on Vulkan too, for which lavapipe takes a while.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <ostream>

#include "runtime/abi/device.h"
#include "runtime/abi/instance.h"
#include "runtime/data/layout.h"
#include "tests/integration/integration_support.h"
#include "tests/support/golden.h"
#include "tests/support/opencl_memory.h"

namespace emulsion::test {
namespace {

constexpr int kBatch = 8;

struct Case {
    const emulsion_device_api* api;
    const char* network;
    std::string name() const { return std::string(api->name) + "_" + network; }
    friend void PrintTo(const Case& which, std::ostream* out) { *out << which.name(); }
};

// The libraries of a network, built once for all tests.
const BuiltLibraries& libraries_of(const Case& which) {
    static std::map<std::string, BuiltLibraries> built;
    const auto found = built.find(which.name());
    if (found != built.end()) return found->second;
    const std::string name = which.network;
    const Network network = name == "tiny"       ? tiny_network()
                            : name == "residual" ? residual_network()
                            : name == "small"    ? small_network()
                                                 : golden_network(name);
    return built
        .try_emplace(
            which.name(), network,
            LibraryOptions{.batch = kBatch, .infer_batches = {1, 4}, .devices = {which.api->name}})
        .first->second;
}

class DeviceLibrary : public ::testing::TestWithParam<Case> {
  protected:
    void SetUp() override {
        char text[EMULSION_DEVICE_TEXT] = "";
        if (GetParam().api->count(text) == 0) GTEST_SKIP() << text;
        if (GetParam().name() == "vulkan_lenet" && std::getenv("EMULSION_LONG_TESTS") == nullptr)
            GTEST_SKIP() << "EMULSION_LONG_TESTS is not set";
    }
    static const char* device_name() { return GetParam().api->name; }
    static const emulsion_train_library& train() { return libraries_of(GetParam()).train(); }
    static const emulsion_infer_library& infer() { return libraries_of(GetParam()).infer(); }
};

const emulsion_device& device_of(void* instance) {
    return *static_cast<emulsion_instance*>(instance)->device;
}

// Largest difference over the largest value.
double difference(const std::vector<float>& a, const std::vector<float>& b) {
    double most = 0, scale = 1e-30;
    for (size_t i = 0; i < a.size(); i++) {
        most = std::max(most, std::abs(static_cast<double>(a[i]) - b[i]));
        scale = std::max(scale, std::abs(static_cast<double>(b[i])));
    }
    return most / scale;
}

// From the same weights: five steps of the same samples, part batches among them, and then what
// the weights have become.
TEST_P(DeviceLibrary, TrainsAsTheProcessorDoes) {
    Trainer processor(train()), device(train(), 1, 0, 7, device_name());
    for (int i = 0; i < 5; i++) {
        const int samples = i == 3 ? 1 : i == 1 ? 5 : kBatch;
        processor.step(static_cast<uint64_t>(i), samples);
        device.step(static_cast<uint64_t>(i), samples);
        EXPECT_NEAR(device.loss() / processor.loss(), 1, 1e-4) << "step " << i;
    }
    device.download();
    for (int i = 0; i < device.info.tensor_count; i++) {
        const emulsion_tensor& tensor = device.info.tensors[i];
        const float *x = device.tensor(tensor.name), *y = processor.tensor(tensor.name);
        const size_t count = tensor.bytes / sizeof(float);
        EXPECT_LE(difference({x, x + count}, {y, y + count}), 2e-3) << tensor.name;
    }
    EXPECT_EQ(std::memcmp(device.state().data(), processor.state().data(), 64), 0);
}

TEST_P(DeviceLibrary, InfersAsTheProcessorDoes) {
    Trainer trained(train());
    for (uint64_t i = 0; i < 3; i++) trained.step(i, kBatch);
    Runner processor(infer(), trained), device(infer(), trained, 1, 0, device_name());
    for (int samples : {1, 2, 3, 4}) {
        for (Runner* runner : {&processor, &device}) {
            runner->ports.fill(static_cast<uint64_t>(samples), trained.classes);
            runner->run(samples);
        }
        for (int i = 0; i < device.info.output_count; i++) {
            for (int sample = 0; sample < samples; sample++) {
                const std::string name = device.info.outputs[i].name;
                EXPECT_LE(
                    difference(device.ports.row(name, sample), processor.ports.row(name, sample)),
                    1e-5)
                    << name << " of sample " << sample << " of " << samples;
            }
        }
    }
}

// Weights go up, some steps are made, they come down, and another instance goes on: the same bits
// as of one that went through.
TEST_P(DeviceLibrary, StepsGoOnFromWhatWasDownloaded) {
    Trainer through(train(), 1, 0, 7, device_name()), before(train(), 1, 0, 7, device_name());
    for (uint64_t i = 0; i < 4; i++) through.step(i, kBatch);
    for (uint64_t i = 0; i < 2; i++) before.step(i, kBatch);
    before.download();
    Trainer after(train(), 1, 0, 9, device_name());
    after.memory.set(EMULSION_PARAMETERS, before.weights());
    after.memory.set(EMULSION_STATE, before.state());
    for (int which : {EMULSION_PARAMETERS, EMULSION_STATE})
        ASSERT_EQ(train().upload(after.instance(), which), EMULSION_OK);
    for (uint64_t i = 2; i < 4; i++) after.step(i, kBatch);
    after.download();
    through.download();
    EXPECT_TRUE(after.weights() == through.weights());
    EXPECT_TRUE(after.state() == through.state());
}

// Nothing is allocated, built or carried in a step but samples, outputs and what the tests for
// values that are not finite have found.
TEST_P(DeviceLibrary, AStepCarriesSamplesAndOutputsAlone) {
    Trainer trainer(train(), 1, 0, 7, device_name());
    const emulsion_device& device = device_of(trainer.instance());
    emulsion_sizes sizes{};
    ASSERT_EQ(train().sizes(1, &sizes), EMULSION_OK);
    uint64_t stated = 0;
    for (uint64_t bytes : sizes.device_bytes) stated += bytes;
    EXPECT_EQ(device.allocated_bytes, stated);
    const emulsion_device before = device;
    for (uint64_t i = 0; i < 3; i++) trainer.step(i, kBatch);
    const emulsion_info& info = trainer.info;
    uint64_t up = 0, down = 0;
    for (int i = 0; i < info.input_count; i++)
        up += info.inputs[i].bytes * (info.inputs[i].batched ? kBatch : 1);
    for (int i = 0; i < info.output_count; i++)
        down += info.outputs[i].bytes * (info.outputs[i].batched ? kBatch : 1);
    EXPECT_EQ(device.allocations, before.allocations);
    EXPECT_EQ(device.programs, before.programs);
    EXPECT_EQ(device.kernels, before.kernels);
    EXPECT_EQ(device.uploads - before.uploads, 3u * static_cast<uint64_t>(info.input_count));
    EXPECT_EQ(device.uploaded_bytes - before.uploaded_bytes, 3 * up);
    EXPECT_EQ(device.downloads - before.downloads,
              3u * static_cast<uint64_t>(info.output_count + 1));
    EXPECT_EQ(device.downloaded_bytes - before.downloaded_bytes,
              3 * (down + sizeof(emulsion_device_record)));
}

// What manifest and header state is what the functions state.
TEST_P(DeviceLibrary, TheManifestStatesTheBytes) {
    const BuiltLibraries& built = libraries_of(GetParam());
    for (const bool training : {true, false}) {
        const std::string name =
            std::string(training ? train().info()->network : infer().info()->network) +
            (training ? "_train" : "_infer");
        emulsion_sizes sizes{};
        ASSERT_EQ(training ? train().sizes(2, &sizes) : infer().sizes(2, &sizes), EMULSION_OK);
        const auto manifest =
            nlohmann::json::parse(read_text(built.folder() + "/" + name + ".json"));
        const auto& variant = manifest["variants"].back();
        EXPECT_EQ(variant["name"], device_name());
        uint64_t calls = 0;
        for (const auto& batch : variant["batches"]) calls += batch["kernels"].size();
        EXPECT_GT(calls, 0u);
        std::string line = std::string("/* Bytes of a device of ") + device_name() + ":";
        const char* const classes[] = {"parameters", "gradients", "state", "prepared", "workspace"};
        for (int i = 0; i < EMULSION_INSTANCE; i++) {
            EXPECT_EQ(variant["device_bytes"][classes[i]], sizes.device_bytes[i]) << classes[i];
            line += (i > 0 ? ", " : " ") + std::string(classes[i]) + " " +
                    std::to_string(sizes.device_bytes[i]);
        }
        const std::string header = read_text(built.folder() + "/" + name + ".h");
        EXPECT_NE(header.find(line + ". */\n"), std::string::npos) << line;
    }
}

// A step of which the outputs come later, on a driver's own threads while the next one is prepared.
int step_later(Trainer& trainer, uint64_t data, int samples, float bad = 0) {
    trainer.ports.fill(data, trainer.classes);
    if (bad != 0) trainer.ports.input(0)[0] = bad;
    emulsion_call call = *trainer.ports.call(samples);
    call.later = 1;
    const int status = trainer.library.step(trainer.instance(), &call, 0.05f);
    trainer.ports.fill(99, trainer.classes);  // the inputs are free at once
    return status;
}

// Steps under way while the next ones are launched: the same losses and bits.
TEST_P(DeviceLibrary, OutputsComeLater) {
    Trainer twin(train(), 1, 0, 7, device_name()), trainer(train(), 1, 0, 7, device_name());
    float loss = 0;
    for (uint64_t i = 0; i < 6; i++) {
        const int samples = i == 3 ? 1 : kBatch;
        ASSERT_EQ(step_later(trainer, i, samples), EMULSION_OK);
        if (i > 0) {
            EXPECT_EQ(trainer.loss(), loss) << "of step " << i - 1;
        }
        twin.step(i, samples);
        loss = twin.loss();
    }
    ASSERT_EQ(train().wait(trainer.instance()), EMULSION_OK);
    EXPECT_EQ(trainer.loss(), loss);
    trainer.download();
    twin.download();
    EXPECT_TRUE(trainer.weights() == twin.weights());
    EXPECT_TRUE(trainer.state() == twin.state());
}

class DeviceMemory : public DeviceLibrary {};

// With its largest classes in buffers of the caller's: the same bits, while bind allocates the
// rest.
TEST_P(DeviceMemory, OfTheCallerComputesTheSame) {
    emulsion_sizes sizes{};
    ASSERT_EQ(train().sizes(1, &sizes), EMULSION_OK);
    OpenClMemory memory(opencl_device(0));
    emulsion_device_memory given{};
    given.context = memory.context();
    for (int which : {EMULSION_PARAMETERS, EMULSION_WORKSPACE}) {
        given.bytes[which] = sizes.device_bytes[which];
        given.block[which] = reinterpret_cast<uint64_t>(memory.buffer(given.bytes[which]));
    }
    Trainer own(train(), 1, 0, 7, device_name());
    Trainer trainer(train(), 1, 0, 7, "opencl:0", &given);
    EXPECT_EQ(device_of(trainer.instance()).allocated_bytes,
              sizes.device_bytes[EMULSION_GRADIENTS] + sizes.device_bytes[EMULSION_STATE]);
    for (uint64_t i = 0; i < 2; i++) {
        for (Trainer* one : {&own, &trainer}) one->step(i, kBatch);
        EXPECT_EQ(trainer.loss(), own.loss());
    }
    for (Trainer* one : {&own, &trainer}) one->download();
    EXPECT_TRUE(trainer.weights() == own.weights());
    EXPECT_TRUE(trainer.state() == own.state());
}

// What a step leaves that finds a loss or a gradient that is not finite, and what the steps behind
// it are like: as if it had not been made.
class DeviceNotFinite : public DeviceLibrary {
  protected:
    // The same steps without a bad one.
    void expect_goes_on(Trainer& trainer) {
        Trainer other(train(), 1, 0, 7, device_name());
        other.step(0, kBatch);
        for (Trainer* one : {&trainer, &other}) {
            one->step(2, kBatch);
            one->download();
        }
        EXPECT_EQ(trainer.loss(), other.loss());
        EXPECT_TRUE(trainer.weights() == other.weights());
        EXPECT_TRUE(trainer.state() == other.state());
    }
    // Makes a bad step behind a good one; returns what `error` says.
    std::string bad_step(Trainer& trainer, float value) {
        trainer.step(0, kBatch);
        trainer.ports.fill(1, trainer.classes);
        trainer.ports.input(0)[0] = value;
        EXPECT_EQ(train().step(trainer.instance(), trainer.ports.call(kBatch), 0.05f),
                  EMULSION_NOT_FINITE);
        EXPECT_EQ(reinterpret_cast<const uint64_t*>(trainer.state().data())[1], 1u);
        return train().error(trainer.instance());
    }
};

TEST_P(DeviceNotFinite, ALossChangesNothing) {
    Trainer trainer(train(), 1, 0, 7, device_name());
    EXPECT_EQ(bad_step(trainer, NAN).rfind("the loss of step 1 is NaN: this step has changed", 0),
              0u)
        << train().error(trainer.instance());
    expect_goes_on(trainer);
}

// The step behind a bad one is launched before anyone knows, and changes nothing.
TEST_P(DeviceNotFinite, ALossOfAStepUnderWayChangesNothing) {
    Trainer trainer(train(), 1, 0, 7, device_name());
    ASSERT_EQ(step_later(trainer, 0, kBatch), EMULSION_OK);
    ASSERT_EQ(step_later(trainer, 1, kBatch, INFINITY), EMULSION_OK);
    ASSERT_EQ(step_later(trainer, 5, kBatch), EMULSION_NOT_FINITE);
    EXPECT_EQ(std::string(train().error(trainer.instance())).rfind("the loss of step 1 is ", 0), 0u)
        << train().error(trainer.instance());
    EXPECT_EQ(reinterpret_cast<const uint64_t*>(trainer.state().data())[1], 1u);
    ASSERT_EQ(train().wait(trainer.instance()), EMULSION_OK);
    expect_goes_on(trainer);
}

// Weights of the tiny network and pictures whose scores and loss are large, but whose gradient
// overflows.
void make_gradients_overflow(Trainer& trainer) {
    for (const auto& [name, value] :
         {std::pair{"dense1.w", 1e-30f}, std::pair{"dense2.w", 1e30f}}) {
        const emulsion_tensor& tensor = tensor_named(trainer.info, name);
        std::vector<float> values(logical_elements(tensor));
        for (size_t i = 0; i < values.size(); i++) values[i] = i % 2 == 0 ? value : -value;
        pack(tensor, values.data(), trainer.tensor(name));
    }
    trainer.ports.fill(1, trainer.classes);
    for (int i = 0; i < 4 * kBatch; i++) trainer.ports.input(0)[i] = i % 4 == 0 ? 1e20f : 0;
}

class DeviceGradients : public DeviceNotFinite {};

TEST_P(DeviceGradients, ThatOverflowLeaveTheParametersAlone) {
    Trainer trainer(train(), 1, 0, 7, device_name());
    trainer.step(0, kBatch);
    trainer.download();
    const std::vector<std::byte> good = trainer.weights();
    make_gradients_overflow(trainer);
    ASSERT_EQ(train().upload(trainer.instance(), EMULSION_PARAMETERS), EMULSION_OK);
    const std::vector<std::byte> weights = trainer.weights(), state = trainer.state();
    for (const bool is_step : {true, false}) {
        const emulsion_call* call = trainer.ports.call(kBatch);
        EXPECT_EQ(is_step ? train().step(trainer.instance(), call, 0.01f)
                          : train().forward_backward(trainer.instance(), call),
                  EMULSION_NOT_FINITE);
        EXPECT_TRUE(std::isfinite(trainer.loss())) << trainer.loss();
        EXPECT_STREQ(train().error(trainer.instance()),
                     "the gradient of dense1.w is not finite at step 1: parameters and the "
                     "optimiser's state are unchanged, running statistics have taken the samples "
                     "in");
        EXPECT_EQ(train().update(trainer.instance(), 0.01f), EMULSION_NOT_FINITE);
    }
    trainer.download();
    EXPECT_TRUE(trainer.weights() == weights);
    EXPECT_TRUE(trainer.state() == state);
    trainer.memory.set(EMULSION_PARAMETERS, good);
    ASSERT_EQ(train().upload(trainer.instance(), EMULSION_PARAMETERS), EMULSION_OK);
    expect_goes_on(trainer);
}

std::vector<Case> tiny_cases() { return {{&emulsion_opencl, "tiny"}, {&emulsion_cuda, "tiny"}}; }

std::vector<Case> all_cases() {
    std::vector<Case> cases;
    for (const emulsion_device_api* api : {&emulsion_opencl, &emulsion_vulkan, &emulsion_cuda})
        for (const char* network : {"lenet", "residual", "small"}) cases.push_back({api, network});
    return cases;
}

INSTANTIATE_TEST_SUITE_P(All, DeviceLibrary, ::testing::ValuesIn(all_cases()),
                         [](const auto& test) { return test.param.name(); });

INSTANTIATE_TEST_SUITE_P(Small, DeviceMemory, ::testing::Values(Case{&emulsion_opencl, "small"}),
                         [](const auto& test) { return test.param.name(); });
INSTANTIATE_TEST_SUITE_P(Tiny, DeviceGradients, ::testing::ValuesIn(tiny_cases()),
                         [](const auto& test) { return test.param.name(); });
INSTANTIATE_TEST_SUITE_P(All, DeviceNotFinite, ::testing::ValuesIn(all_cases()),
                         [](const auto& test) { return test.param.name(); });

}  // namespace
}  // namespace emulsion::test
