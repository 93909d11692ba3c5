// Whole libraries with a variant for OpenCL, on the first device of a driver (PoCL in the tests):
// against the processor's variant of the same library.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "runtime/abi/device.h"
#include "runtime/abi/instance.h"
#include "tests/integration/integration_support.h"
#include "tests/support/golden.h"

namespace emulsion::test {
namespace {

constexpr int kBatch = 8;
const char* const kDevice = "opencl";

// The libraries of a network, built once for all tests.
const BuiltLibraries& libraries_of(const std::string& name) {
    static std::map<std::string, BuiltLibraries> built;
    const auto found = built.find(name);
    if (found != built.end()) return found->second;
    const Network network = name == "residual" ? residual_network()
                            : name == "small"  ? small_network()
                                               : golden_network(name);
    return built
        .try_emplace(name, network,
                     LibraryOptions{.batch = kBatch, .infer_batches = {1, 4}, .devices = {kDevice}})
        .first->second;
}

class OpenClLibrary : public ::testing::TestWithParam<const char*> {
  protected:
    void SetUp() override {
        emulsion_device_description description;
        if (train().device(0, &description) != EMULSION_OK) GTEST_SKIP() << description.problem;
    }
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
TEST_P(OpenClLibrary, TrainsAsTheProcessorDoes) {
    Trainer processor(train()), device(train(), 1, 0, 7, kDevice);
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

TEST_P(OpenClLibrary, InfersAsTheProcessorDoes) {
    Trainer trained(train());
    for (uint64_t i = 0; i < 3; i++) trained.step(i, kBatch);
    Runner processor(infer(), trained), device(infer(), trained, 1, 0, kDevice);
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
TEST_P(OpenClLibrary, StepsGoOnFromWhatWasDownloaded) {
    Trainer through(train(), 1, 0, 7, kDevice), before(train(), 1, 0, 7, kDevice);
    for (uint64_t i = 0; i < 4; i++) through.step(i, kBatch);
    for (uint64_t i = 0; i < 2; i++) before.step(i, kBatch);
    before.download();
    Trainer after(train(), 1, 0, 9, kDevice);
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

// Nothing is allocated, built or carried in a step but samples, outputs and the answer of the test
// of the gradients.
TEST_P(OpenClLibrary, AStepCarriesSamplesAndOutputsAlone) {
    Trainer trainer(train(), 1, 0, 7, kDevice);
    const emulsion_device& device = device_of(trainer.instance());
    emulsion_sizes sizes{};
    ASSERT_EQ(train().sizes(1, &sizes), EMULSION_OK);
    uint64_t stated = 0;
    for (uint64_t bytes : sizes.device_bytes) stated += bytes;
    EXPECT_EQ(device.allocated_bytes, stated + EMULSION_DEVICE_OWN_BYTES);
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
    const uint64_t downloaded = device.downloaded_bytes - before.downloaded_bytes;
    EXPECT_GT(downloaded, 3 * down);
    EXPECT_LE(downloaded, 3 * (down + EMULSION_DEVICE_OWN_BYTES));
}

// What manifest and header state is what the functions state.
TEST_P(OpenClLibrary, TheManifestStatesTheBytes) {
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
        EXPECT_EQ(variant["name"], kDevice);
        uint64_t calls = 0;
        for (const auto& batch : variant["batches"]) calls += batch["kernels"].size();
        EXPECT_GT(calls, 0u);
        std::string line = "/* Bytes of a device of opencl:";
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

TEST_P(OpenClLibrary, ALossThatIsNotFiniteChangesNothing) {
    Trainer trainer(train(), 1, 0, 7, kDevice);
    trainer.step(0, kBatch);
    trainer.download();
    const std::vector<std::byte> weights = trainer.weights(), state = trainer.state();
    trainer.ports.fill(1, trainer.classes);
    trainer.ports.input(0)[0] = NAN;
    EXPECT_EQ(train().step(trainer.instance(), trainer.ports.call(kBatch), 0.05f),
              EMULSION_NOT_FINITE);
    trainer.download();
    EXPECT_TRUE(trainer.weights() == weights);
    EXPECT_TRUE(trainer.state() == state);
    trainer.step(2, kBatch);
}

INSTANTIATE_TEST_SUITE_P(Networks, OpenClLibrary, ::testing::Values("lenet", "residual", "small"),
                         [](const auto& network) { return std::string(network.param); });

}  // namespace
}  // namespace emulsion::test
