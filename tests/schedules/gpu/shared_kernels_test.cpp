// Shipped kernels of OpenCL give one result: in several instances at once that share a kernel
// object, and with any number of compute units.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <set>
#include <thread>

#include "compiler/pipeline.h"
#include "compiler/plan/plan.h"
#include "compiler/support/hash.h"
#include "runtime/abi/opencl_driver.h"
#include "schedules/library.h"
#include "tests/support/device_harness.h"
#include "tests/support/golden.h"
#include "tests/support/kernel_harness.h"
#include "tests/support/run_program.h"

namespace emulsion::test {
namespace {

constexpr int kBatch = 3;

struct Kernels {
    std::vector<PlannedKernel> planned;
    std::vector<CompiledKernel> compiled;
};

// One of each recipe in lenet's training step.
Kernels one_of_each_recipe() {
    const RecipeLibrary recipes = make_library();
    PlanOptions options;
    options.training = true;
    options.batches = {kBatch};
    options.exact = true;
    options.isas = {isa_opencl()};
    const Plan plan = make_plan(device_training_graph(golden_network("lenet")), recipes, options);
    Kernels kernels;
    std::set<std::string> seen;
    for (const PlannedKernel& kernel : plan.variants[0].kernels) {
        if (seen.insert(kernel.recipe).second) kernels.planned.push_back(kernel);
    }
    kernels.compiled = compile_kernels(kernels.planned, isa_opencl(), recipes, KernelOptions());
    return kernels;
}

using Bits = std::vector<std::vector<std::byte>>;

// The results of each kernel for samples of their own.
std::vector<Bits> bits_of(const std::vector<std::unique_ptr<DeviceKernel>>& kernels,
                          uint64_t seed) {
    std::vector<Bits> bits;
    for (const auto& kernel : kernels) {
        DeviceRun run(*kernel, emulsion_opencl);
        bits.push_back(
            run.run(random_sources(kernel->group(), kBatch, /*classes=*/10, seed), kBatch));
    }
    return bits;
}

std::vector<std::unique_ptr<DeviceKernel>> load(const Kernels& kernels) {
    std::vector<std::unique_ptr<DeviceKernel>> loaded;
    for (size_t i = 0; i < kernels.planned.size(); i++) {
        loaded.push_back(
            std::make_unique<DeviceKernel>(kernels.planned[i].group, kernels.compiled[i]));
    }
    return loaded;
}

TEST(SharedDeviceKernels, InstancesAtOnceGiveTheBitsOfOneAlone) {
    if (!has_device(emulsion_opencl)) GTEST_SKIP() << "no device of OpenCL";
    const Kernels kernels = one_of_each_recipe();
    ASSERT_GE(kernels.planned.size(), 4u);
    const auto loaded = load(kernels);
    constexpr size_t kThreads = 3;
    std::vector<std::vector<Bits>> alone, at_once(kThreads);
    for (size_t t = 0; t < kThreads; t++) alone.push_back(bits_of(loaded, t));
    std::vector<std::thread> threads;
    for (size_t t = 0; t < kThreads; t++)
        threads.emplace_back([&, t] { at_once[t] = bits_of(loaded, t); });
    for (std::thread& thread : threads) thread.join();
    for (size_t t = 0; t < kThreads; t++) EXPECT_EQ(at_once[t], alone[t]);
    EXPECT_NE(alone[0], alone[1]);
}

// What the test below starts: prints the compute units, and a hash of ten runs.
TEST(SharedDeviceKernels, DISABLED_PrintBits) {
    constexpr uint32_t kComputeUnits = 0x1002;
    char text[EMULSION_DEVICE_TEXT] = "";
    const emulsion_opencl_driver* cl = emulsion_opencl_find(text);
    ASSERT_NE(cl, nullptr) << text;
    void *platform = nullptr, *device = nullptr;
    uint32_t units = 0;
    cl->clGetPlatformIDs(1, &platform, nullptr);
    cl->clGetDeviceIDs(platform, UINT32_MAX, 1, &device, nullptr);
    cl->clGetDeviceInfo(device, kComputeUnits, sizeof units, &units, nullptr);
    const Kernels kernels = one_of_each_recipe();
    const auto loaded = load(kernels);
    std::set<std::string> hashes;
    for (int run = 0; run < 10; run++) {
        std::string bytes;
        for (const Bits& kernel : bits_of(loaded, 1)) {
            for (const std::vector<std::byte>& result : kernel)
                bytes.append(reinterpret_cast<const char*>(result.data()), result.size());
        }
        hashes.insert(hash_text(bytes));
    }
    EXPECT_EQ(hashes.size(), 1u);
    fmt::print("units {} bits {}\n", units, *hashes.begin());
}

// "units 8 bits 0123…" of a process whose driver has so many compute units, where it is PoCL.
std::string bits_with_units(const char* units) {
    const ProgramMain run = [units](int, char** arguments) {
        for (const char* name : {"POCL_MAX_PTHREAD_COUNT", "POCL_CPU_MAX_CU_COUNT"})
            setenv(name, units, 1);
        execv("/proc/self/exe", arguments);
        return 1;
    };
    const ProgramResult result = run_program(
        run, {"test", "--gtest_also_run_disabled_tests", "--gtest_filter=*DISABLED_PrintBits"});
    EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
    const size_t begin = result.out.find("units ");
    return begin == std::string::npos
               ? result.out
               : result.out.substr(begin, result.out.find('\n', begin) - begin);
}

TEST(SharedDeviceKernels, OneResultForAnyNumberOfComputeUnits) {
    if (!has_device(emulsion_opencl)) GTEST_SKIP() << "no device of OpenCL";
    emulsion_device_facts facts{};
    char text[EMULSION_DEVICE_TEXT] = "";
    ASSERT_EQ(emulsion_opencl.facts(0, &facts, text), 0) << text;
    const std::string one = bits_with_units("1"), eight = bits_with_units("8");
    const auto after = [](const std::string& line) { return line.substr(line.find("bits ")); };
    EXPECT_EQ(after(one), after(eight));
    if (std::string(facts.name).rfind("pthread-", 0) != 0) return;
    EXPECT_EQ(one.substr(0, 8), "units 1 ");
    EXPECT_EQ(eight.substr(0, 8), "units 8 ");
}

}  // namespace
}  // namespace emulsion::test
