// Whole libraries with a variant for CUDA on a stand-in for the driver, which they load as they
// would load NVIDIA's: what is asked of it in which order, and what becomes of its faults. Its
// kernels do nothing; NVIDIA's assembler reads them (ptxas), for each kind of GPU.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "compiler/codegen/manifest.h"
#include "compiler/plan/plan.h"
#include "runtime/abi/device_base.h"
#include "runtime/abi/instance.h"
#include "schedules/library.h"
#include "tests/integration/integration_support.h"
#include "tests/support/cuda_code.h"
#include "tests/support/cuda_stand_in.h"
#include "tests/support/golden.h"
#include "tests/support/paths.h"

namespace emulsion::test {
namespace {

constexpr int kBatch = 8;

const BuiltLibraries& lenet() {
    static const BuiltLibraries built(
        golden_network("lenet"),
        LibraryOptions{.batch = kBatch, .infer_batches = {1, 4}, .devices = {"cuda"}});
    return built;
}

// The process's libcuda.so.1 is the tests' own, and passes all on to `driver`.
class CudaLibrary : public ::testing::Test {
  protected:
    CudaLibrary() {
        static void* const library =
            dlopen(binary_path("tests/driver/libcuda.so.1").c_str(), RTLD_NOW);
        if (library == nullptr) throw std::runtime_error(dlerror());
        use_ = reinterpret_cast<void (*)(const emulsion_cuda_driver*)>(
            dlsym(library, "use_cuda_stand_in"));
        use_(&driver.driver);
        train().sizes(1, &sizes);
    }
    ~CudaLibrary() override { use_(nullptr); }

    static const emulsion_train_library& train() { return lenet().train(); }
    static const emulsion_infer_library& infer() { return lenet().infer(); }

    // What bind says on a device, and the sentence.
    int bind(const char* device, std::string& sentence) {
        Memory memory(sizes);
        emulsion_options options = options_of(1, 0);
        options.device = device;
        EXPECT_EQ(train().init(7, memory.get()), EMULSION_OK);
        const int status = train().bind(memory.instance(), memory.get(), &options);
        sentence = train().error(memory.instance());
        train().unbind(memory.instance());
        return status;
    }

    // What has been asked since `begin` calls.
    std::map<std::string, int> calls_since(size_t begin) const {
        std::map<std::string, int> calls;
        for (size_t i = begin; i < driver.sequence.size(); i++) calls[driver.sequence[i]]++;
        return calls;
    }

    CudaStandIn driver;
    emulsion_sizes sizes{};

  private:
    void (*use_)(const emulsion_cuda_driver*) = nullptr;
};

TEST_F(CudaLibrary, DevicesAreListed) {
    emulsion_device_description description;
    driver.devices = 2;
    ASSERT_EQ(train().device(1, &description), EMULSION_OK);
    EXPECT_STREQ(description.interface, "cuda");
    EXPECT_EQ(description.index, 1);
    EXPECT_STREQ(description.name, "toy");
    EXPECT_EQ(description.memory_bytes, uint64_t{1} << 30);
    EXPECT_EQ(infer().device(2, &description), EMULSION_INVALID_ARGUMENT);
    driver.devices = 0;
    EXPECT_EQ(train().device(0, &description), EMULSION_INVALID_ARGUMENT);
    EXPECT_STREQ(description.problem, "the driver of CUDA offers no device");
}

// Each class of memory is one block of the bytes that are stated, and all programs and kernels are
// made before the first step.
TEST_F(CudaLibrary, BindAllocatesWhatIsStated) {
    const Trainer trainer(train(), 1, 0, 7, "cuda:0");
    std::multiset<uint64_t> stated, allocated;
    for (uint64_t bytes : sizes.device_bytes) {
        if (bytes > 0) stated.insert(bytes);
    }
    for (const auto& [address, block] : driver.blocks) allocated.insert(block.size());
    EXPECT_EQ(allocated, stated);
    EXPECT_EQ(driver.launches.size(), 0u);
    EXPECT_GT(driver.programs.size(), 10u);
    EXPECT_EQ(driver.calls["cuMemcpyHtoDAsync"], 2) << "parameters and state";
    EXPECT_EQ(driver.calls["cuMemcpyDtoHAsync"], 0);
}

// A step uploads its inputs, launches, tests loss and gradients, and asks for nothing else.
TEST_F(CudaLibrary, AStepAsksForLaunchesAndCopies) {
    Trainer trainer(train(), 1, 0, 7, "cuda");
    const emulsion_info& info = trainer.info;
    std::map<std::string, int> first;
    for (uint64_t i = 0; i < 3; i++) {
        const size_t begin = driver.sequence.size();
        driver.launches.clear();
        trainer.step(i, i == 2 ? 1 : kBatch);
        std::map<std::string, int> calls = calls_since(begin);
        const int pushed = calls["cuCtxPushCurrent"];
        EXPECT_EQ(calls["cuCtxPopCurrent"], pushed);
        const std::map<std::string, int> expected{
            {"cuCtxPushCurrent", pushed},
            {"cuCtxPopCurrent", pushed},
            {"cuMemcpyHtoDAsync", info.input_count},
            {"cuLaunchKernel", static_cast<int>(driver.launches.size())},
            {"cuEventRecord", 1},
            {"cuStreamWaitEvent", info.output_count + 1},
            {"cuMemcpyDtoHAsync", info.output_count + 1},
            {"cuStreamSynchronize", info.input_count + info.output_count + 1}};
        EXPECT_EQ(calls, expected);
        if (i == 0) first = calls;
        EXPECT_EQ(calls, first);
        const auto place = [&](const char* call) {
            return std::find(driver.sequence.begin() + static_cast<long>(begin),
                             driver.sequence.end(), call) -
                   driver.sequence.begin();
        };
        EXPECT_LT(place("cuMemcpyHtoDAsync"), place("cuLaunchKernel"));
        EXPECT_LT(place("cuLaunchKernel"), place("cuMemcpyDtoHAsync"));
    }
    EXPECT_GE(driver.launches.size(), 20u);
}

// Where outputs come later, a step waits for its inputs and for the step before it alone: for that
// one's mark, when its own kernels are launched.
TEST_F(CudaLibrary, AStepUnderWayIsWaitedForByTheNext) {
    Trainer trainer(train(), 1, 0, 7, "cuda");
    const emulsion_info& info = trainer.info;
    trainer.ports.fill(1, 10);
    emulsion_call call = *trainer.ports.call(kBatch);
    call.later = 1;
    for (int i = 0; i < 4; i++) {
        const size_t begin = driver.sequence.size();
        ASSERT_EQ(train().step(trainer.instance(), &call, 0.05f), EMULSION_OK);
        std::map<std::string, int> calls = calls_since(begin);
        const int downloads = i == 0 ? 0 : info.output_count + 1;
        EXPECT_EQ(calls["cuMemcpyHtoDAsync"], info.input_count);
        EXPECT_EQ(calls["cuMemcpyDtoHAsync"], downloads);
        EXPECT_EQ(calls["cuStreamWaitEvent"], downloads);
        EXPECT_EQ(calls["cuStreamSynchronize"], info.input_count + downloads);
        const auto from = driver.sequence.begin() + static_cast<long>(begin);
        const auto mark = std::find(from, driver.sequence.end(), "cuEventRecord");
        EXPECT_EQ(std::find(mark, driver.sequence.end(), "cuLaunchKernel"), driver.sequence.end());
        EXPECT_EQ(std::find(from, mark, "cuStreamWaitEvent"), mark);
    }
    const size_t begin = driver.sequence.size();
    ASSERT_EQ(train().wait(trainer.instance()), EMULSION_OK);
    std::map<std::string, int> calls = calls_since(begin);
    EXPECT_EQ(calls["cuMemcpyDtoHAsync"], info.output_count + 1);
    EXPECT_EQ(calls["cuLaunchKernel"], 0);
}

// Whatever a launch is given lies in the device's memory.
TEST_F(CudaLibrary, LaunchesAreOnTheDevice) {
    driver.on_launch = [&](const CudaLaunch& launch, void**) {
        if (launch.kernel == "test_finite") return;
        EXPECT_FALSE(launch.addresses.empty()) << launch.kernel;
        for (uint64_t address : launch.addresses)
            EXPECT_NE(driver.bytes_at(address, 4), nullptr) << launch.kernel;
        for (int axis = 0; axis < 3; axis++) {
            EXPECT_GE(launch.blocks[axis], 1u) << launch.kernel;
            EXPECT_LE(launch.blocks[axis], axis == 0 ? 0x7fffffffu : 65535u) << launch.kernel;
        }
        EXPECT_LE(launch.threads[0] * launch.threads[1] * launch.threads[2], 1024u);
        EXPECT_LE(launch.shared, 48u << 10) << launch.kernel;
    };
    Trainer trainer(train(), 1, 0, 7, "cuda");
    trainer.step(0, kBatch);
    Runner runner(infer(), trainer, 1, 0, "cuda");
    for (int samples : {1, 4}) {
        runner.ports.fill(1, 10);
        runner.run(samples);
    }
    EXPECT_GT(driver.launches.size(), 30u);
}

TEST_F(CudaLibrary, ValuesComeBackAsTheyWentUp) {
    Trainer trainer(train(), 1, 0, 7, "cuda");
    const std::vector<std::byte> weights = trainer.weights();
    trainer.step(0, kBatch);
    trainer.memory.set(EMULSION_PARAMETERS, std::vector<std::byte>(weights.size()));
    trainer.download();
    EXPECT_TRUE(trainer.weights() == weights);
}

TEST_F(CudaLibrary, AGradientThatIsNotFiniteIsNamed) {
    Trainer trainer(train(), 1, 0, 7, "cuda");
    const emulsion_tensor& bias = tensor_named(trainer.info, "conv2.b");
    for (auto& [address, block] : driver.blocks) {
        if (block.size() != sizes.device_bytes[EMULSION_GRADIENTS]) continue;
        const float value = NAN;
        std::memcpy(block.data() + bias.gradient_offset, &value, sizeof value);
    }
    trainer.ports.fill(1, 10);
    EXPECT_EQ(train().step(trainer.instance(), trainer.ports.call(kBatch), 0.05f),
              EMULSION_NOT_FINITE);
    EXPECT_NE(std::string(train().error(trainer.instance())).find("conv2.b"), std::string::npos)
        << train().error(trainer.instance());
}

TEST_F(CudaLibrary, FaultsOfBindAreTheDriversWords) {
    std::string sentence;
    const std::string device = "device cuda:0: ";
    driver.failing["cuMemAlloc"] = 2;
    EXPECT_EQ(bind("cuda", sentence), EMULSION_DEVICE_ERROR);
    EXPECT_EQ(sentence, device +
                            "cuMemAlloc answers CUDA_ERROR_OUT_OF_MEMORY (2: out of memory) to " +
                            std::to_string(sizes.device_bytes[EMULSION_PARAMETERS]) +
                            " bytes of memory on 'toy'");
    driver.failing = {{"cuModuleLoadDataEx", 218}};
    driver.log = "ptxas fatal: unsupported";
    EXPECT_EQ(bind("cuda", sentence), EMULSION_DEVICE_ERROR);
    EXPECT_NE(sentence.find("cuModuleLoadDataEx answers CUDA_ERROR_INVALID_PTX (218) to a program "
                            "(...ptxas fatal: unsupported) on 'toy'"),
              std::string::npos)
        << sentence;
    driver.failing = {{"cuInit", 100}};
    EXPECT_EQ(bind("gpu", sentence), EMULSION_UNSUPPORTED_DEVICE);
    EXPECT_EQ(sentence,
              "options.device is 'gpu', but there is none: cuInit answers CUDA_ERROR_NO_DEVICE "
              "(100: no CUDA-capable device is detected)");
    driver.failing.clear();
    EXPECT_EQ(bind("cuda:1", sentence), EMULSION_UNSUPPORTED_DEVICE);
    EXPECT_EQ(sentence, "options.device is 'cuda:1', but there is 1 device of cuda");
    driver.capability = 75;
    EXPECT_EQ(bind("cuda", sentence), EMULSION_DEVICE_ERROR);
    EXPECT_EQ(sentence, device + "'toy' has compute capability 7.5, but kernels need 8.0");
    driver.capability = 80;
    EXPECT_EQ(bind("cuda", sentence), EMULSION_OK);
}

TEST_F(CudaLibrary, TooLittleMemoryIsKnownBeforeItIsAskedFor) {
    std::string sentence;
    uint64_t needed = 0;
    for (uint64_t bytes : sizes.device_bytes) needed += bytes;
    driver.memory = needed - 1;
    EXPECT_EQ(bind("cuda", sentence), EMULSION_UNSUPPORTED_DEVICE);
    EXPECT_EQ(sentence, "device cuda:0 (toy) has " + std::to_string(needed - 1) +
                            " bytes of memory, but the network needs " + std::to_string(needed) +
                            ": build it for a batch of at most 4");
    driver.memory = 1000;
    EXPECT_EQ(bind("cuda", sentence), EMULSION_UNSUPPORTED_DEVICE);
    EXPECT_TRUE(sentence.ends_with(", and no batch is small enough")) << sentence;
    EXPECT_EQ(driver.calls["cuMemAlloc"], 0);
    EXPECT_EQ(driver.calls["cuDevicePrimaryCtxRetain"], 0);
}

// What manifest and description say of smaller batches is what builds for these would state.
TEST_F(CudaLibrary, SmallerBatchesAreAsTheirOwnBuilds) {
    const RecipeLibrary recipes = make_library();
    for (const bool training : {true, false}) {
        const std::string name = training ? "lenet_train" : "lenet_infer";
        const auto manifest =
            nlohmann::json::parse(read_text(lenet().folder() + "/" + name + ".json"));
        const auto& rows = manifest["variants"].back()["smaller_batches"];
        ASSERT_EQ(rows.size(), training ? 3u : 2u);
        for (size_t i = 0; i < rows.size(); i++) {
            BuildOptions options;
            options.devices = {"cuda"};
            options.batch = 1 << i;
            options.infer_batches = i == 0 ? std::vector<int>{1} : std::vector<int>{1, 2};
            const Plan plan = plan_of(golden_network("lenet"), recipes, options, training);
            const auto bytes = device_bytes(plan, plan.variants.back());
            const int64_t sum = std::accumulate(bytes.begin(), bytes.end(), int64_t{0});
            EXPECT_EQ(rows[i]["batch"], options.batch);
            EXPECT_EQ(rows[i]["device_bytes"], sum);
            EXPECT_EQ(rows[i]["largest_class"], *std::max_element(bytes.begin(), bytes.end()));
            driver.memory = static_cast<size_t>(sum);
            emulsion_device_description description;
            ASSERT_EQ((training ? train().device : infer().device)(0, &description), EMULSION_OK);
            EXPECT_EQ(description.largest_batch, options.batch);
        }
    }
}

// All classes in memory of the caller's: bind allocates none, and unbind frees none.
TEST_F(CudaLibrary, MemoryOfTheCallerIsUsed) {
    emulsion_device_memory given{};
    for (int i = 0; i < EMULSION_CLASSES; i++) {
        given.bytes[i] = sizes.device_bytes[i];
        if (given.bytes[i] > 0) given.block[i] = driver.make_block(given.bytes[i]);
    }
    driver.on_launch = [&](const CudaLaunch& launch, void**) {
        for (uint64_t address : launch.addresses) EXPECT_NE(driver.bytes_at(address, 4), nullptr);
    };
    {
        Trainer trainer(train(), 1, 0, 7, "cuda:0", &given);
        const std::vector<std::byte> weights = trainer.weights();
        trainer.step(0, kBatch);
        const auto& block = driver.blocks.at(given.block[EMULSION_PARAMETERS]);
        EXPECT_TRUE(std::equal(weights.begin(), weights.end(), block.begin()));
        EXPECT_GE(driver.launches.size(), 20u);
    }
    EXPECT_EQ(driver.calls["cuMemAlloc"], 0);
    EXPECT_EQ(driver.calls["cuMemFree"], 0);
    for (uint64_t address : given.block) {
        if (address != 0) driver.drop_block(address);
    }
}

// A device that is lost answers each later call with its first fault; the processor's variant of
// the same library goes on.
TEST_F(CudaLibrary, ADeviceThatIsLost) {
    Trainer lost(train(), 1, 0, 7, "cuda"), processor(train());
    lost.step(0, kBatch);
    driver.failing["cuStreamSynchronize"] = 719;
    lost.ports.fill(1, 10);
    for (int again = 0; again < 2; again++) {
        EXPECT_EQ(train().step(lost.instance(), lost.ports.call(kBatch), 0.05f),
                  EMULSION_DEVICE_ERROR);
        EXPECT_NE(std::string(train().error(lost.instance()))
                      .find("CUDA_ERROR_LAUNCH_FAILED (719: unspecified launch failure)"),
                  std::string::npos)
            << train().error(lost.instance());
        driver.failing.clear();
    }
    EXPECT_EQ(train().download(lost.instance(), EMULSION_PARAMETERS), EMULSION_DEVICE_ERROR);
    processor.step(0, kBatch);
    EXPECT_GT(processor.loss(), 0);
}

TEST_F(CudaLibrary, WithoutADeviceTheProcessorRuns) {
    driver.devices = 0;
    Trainer chosen(train(), 1, 0, 7, "auto"), processor(train());
    for (Trainer* trainer : {&chosen, &processor}) trainer->step(0, kBatch);
    EXPECT_TRUE(chosen.weights() == processor.weights());
    EXPECT_EQ(driver.launches.size(), 0u);
}

// All texts in both libraries, the runtime's own included.
TEST(CudaLibraryCode, IsAssembled) {
    if (!has_cuda_tools())
        GTEST_SKIP() << "ptxas is missing; fix: run compiler/toolchain/setup.sh --tests";
    for (const char* name : {"lenet_train", "lenet_infer"}) {
        const std::vector<std::string> texts =
            ptx_texts(object_of_archive(lenet().folder() + "/" + name + ".a"));
        EXPECT_GE(texts.size(), 8u) << name;
        std::set<std::string> names;
        for (const std::string& text : texts) {
            for (const char* architecture : {"sm_80", "sm_90"}) {
                const bool is_probe = text.find(".entry probe(") != std::string::npos;
                const std::vector<CudaEntry> entries = cuda_entries(text, architecture, is_probe);
                EXPECT_GE(entries.size(), 1u);
                if (is_probe) {  // what it measures is what it does, on all threads at once
                    EXPECT_GT(entries.at(0).ffma_share(), 0.95) << architecture;
                    EXPECT_LE(entries.at(0).registers, 32) << architecture;
                }
                for (const CudaEntry& entry : entries) {
                    names.insert(entry.name);
                    EXPECT_EQ(entry.spill_bytes + entry.stack_bytes, 0)
                        << name << " " << architecture << " " << entry.name;
                }
            }
        }
        EXPECT_TRUE(names.contains("test_finite")) << name;
        EXPECT_TRUE(names.contains("probe")) << name;
    }
}

}  // namespace
}  // namespace emulsion::test
