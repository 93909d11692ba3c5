// Kernels of CUDA as they ship, on a stand-in for the driver: what is launched, and with which
// addresses.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <regex>
#include <set>

#include "compiler/pipeline.h"
#include "compiler/plan/plan.h"
#include "schedules/library.h"
#include "tests/support/cuda_stand_in.h"
#include "tests/support/device_harness.h"
#include "tests/support/golden.h"
#include "tests/support/kernel_harness.h"

namespace emulsion::test {
namespace {

constexpr int kBatch = 3;

// The bytes of a kernel's parameters, from the program's text.
std::vector<int> parameters_of(const std::string& program, const std::string& kernel) {
    const size_t begin = program.find(".entry " + kernel + "(");
    EXPECT_NE(begin, std::string::npos) << kernel;
    if (begin == std::string::npos) return {};
    const std::string text = program.substr(begin, program.find(')', begin) - begin);
    const std::regex parameter(R"(\.param (?:\.align \d+ )?\.[a-z](\d+))");
    std::vector<int> bytes;
    for (auto it = std::sregex_iterator(text.begin(), text.end(), parameter);
         it != std::sregex_iterator(); it++)
        bytes.push_back(std::stoi((*it)[1]) / 8);
    return bytes;
}

// Each parameter of 64 bits is the address of a buffer.
void check_addresses(const CudaStandIn& driver, const DeviceRun& run, const CudaLaunch& launch,
                     void** arguments) {
    int addresses = 0;
    const std::vector<int> parameters = parameters_of(driver.programs.back(), launch.kernel);
    for (size_t i = 0; i < parameters.size(); i++) {
        if (parameters[i] != 8) continue;
        uint64_t address;
        std::memcpy(&address, arguments[i], sizeof address);
        EXPECT_TRUE(std::any_of(run.descriptors().begin(), run.descriptors().end(),
                                [&](const auto& buffer) { return buffer.device == address; }))
            << "parameter " << i << " of " << launch.kernel;
        addresses++;
    }
    EXPECT_GE(addresses, 1) << launch.kernel;
}

TEST(CudaKernels, OfLenetAreLaunchedOnTheirBuffers) {
    const RecipeLibrary recipes = make_library();
    PlanOptions options;
    options.training = true;
    options.batches = {kBatch};
    options.exact = true;
    options.isas = {isa_cuda()};
    const Plan plan =
        make_plan(training_graph(golden_network("lenet"), /*exact=*/true), recipes, options);
    const std::vector<PlannedKernel>& kernels = plan.variants[0].kernels;
    const std::vector<CompiledKernel> compiled =
        compile_kernels(kernels, isa_cuda(), recipes, KernelOptions());
    for (size_t i = 0; i < kernels.size(); i++) {
        SCOPED_TRACE(kernels[i].identity(isa_cuda()));
        CudaStandIn driver;
        const DeviceKernel kernel(kernels[i].group, compiled[i]);
        DeviceRun run(kernel, emulsion_cuda);
        driver.on_launch = [&](const CudaLaunch& launch, void** arguments) {
            check_addresses(driver, run, launch, arguments);
        };
        const reference::Sources sources = random_sources(kernels[i].group, kBatch, 10);
        run.device()->dry = 1;
        run.call(sources, kBatch);
        EXPECT_EQ(driver.launches.size(), 0u);
        EXPECT_EQ(driver.programs.size(), 1u);
        run.device()->dry = 0;
        run.run(sources, kBatch);
        EXPECT_GE(driver.launches.size(), 1u);
        EXPECT_EQ(driver.programs.size(), 1u);
        EXPECT_EQ(driver.calls["cuMemAlloc"], 2);
    }
}

}  // namespace
}  // namespace emulsion::test
