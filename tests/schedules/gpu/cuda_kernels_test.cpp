// Kernels of CUDA as they ship, on a stand-in for the driver: what is launched, and with which
// addresses.
#include <gtest/gtest.h>

#include <algorithm>
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

// Each parameter of 64 bits is the address of a buffer.
void check_addresses(const DeviceRun& run, const CudaLaunch& launch) {
    for (uint64_t address : launch.addresses) {
        EXPECT_TRUE(std::any_of(run.descriptors().begin(), run.descriptors().end(),
                                [&](const auto& buffer) { return buffer.device == address; }))
            << launch.kernel;
    }
    EXPECT_GE(launch.addresses.size(), 1u) << launch.kernel;
}

TEST(CudaKernels, OfLenetAreLaunchedOnTheirBuffers) {
    const RecipeLibrary recipes = make_library();
    PlanOptions options;
    options.training = true;
    options.batches = {kBatch};
    options.exact = true;
    options.isas = {isa_cuda()};
    const Plan plan = make_plan(device_training_graph(golden_network("lenet")), recipes, options);
    const std::vector<PlannedKernel>& kernels = plan.variants[0].kernels;
    const std::vector<CompiledKernel> compiled =
        compile_kernels(kernels, isa_cuda(), recipes, KernelOptions());
    for (size_t i = 0; i < kernels.size(); i++) {
        SCOPED_TRACE(kernels[i].identity(isa_cuda()));
        CudaStandIn driver;
        const DeviceKernel kernel(kernels[i].group, compiled[i]);
        DeviceRun run(kernel, emulsion_cuda);
        driver.on_launch = [&](const CudaLaunch& launch, void**) { check_addresses(run, launch); };
        const reference::Sources sources = random_sources(kernels[i].group, kBatch, 10);
        run.device()->dry = 1;
        run.call(sources, kBatch);
        EXPECT_EQ(driver.launches.size(), 0u);
        EXPECT_EQ(driver.programs.size(), 1u);
        run.device()->dry = 0;
        run.run(sources, kBatch);
        EXPECT_GE(driver.launches.size(), 1u);
        EXPECT_EQ(driver.programs.size(), 1u);
        EXPECT_EQ(driver.calls["cuMemAlloc"], 1);
    }
}

}  // namespace
}  // namespace emulsion::test
