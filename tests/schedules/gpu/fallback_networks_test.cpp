// Which networks have a recipe of its own for each of their kernels on devices.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "compiler/pipeline.h"
#include "compiler/plan/plan.h"
#include "schedules/library.h"
#include "tests/support/golden.h"

namespace emulsion::test {
namespace {

// The kernels that only the plain definition runs.
std::vector<std::string> fallbacks(const std::string& name, int batch, bool is_training,
                                   const Isa& isa) {
    PlanOptions options;
    options.training = is_training;
    options.batches = {batch};
    options.isas = {isa};
    const Network network = golden_network(name);
    const Plan plan = make_plan(
        is_training ? device_training_graph(network) : inference_graph(network, /*exact=*/true),
        make_library(), options);
    std::vector<std::string> found;
    for (const PlannedKernel& kernel : plan.variants[0].kernels) {
        if (kernel.is_last_resort || kernel.recipe == "gpu_default")
            found.push_back(kernel.identity(isa));
    }
    return found;
}

TEST(DeviceFallback, RunsNoKernelOfTheseNetworks) {
    for (const ExampleNetwork& example : kExampleNetworks) {
        if (std::string(example.name) == "densenet121") continue;  // planning takes seconds
        for (const Isa* isa : {&isa_opencl(), &isa_cuda()}) {
            SCOPED_TRACE(std::string(example.name) + " on " + isa->name);
            EXPECT_EQ(fallbacks(example.name, example.batch, /*is_training=*/true, *isa),
                      std::vector<std::string>());
            EXPECT_EQ(fallbacks(example.name, 1, /*is_training=*/false, *isa),
                      std::vector<std::string>());
        }
    }
}

}  // namespace
}  // namespace emulsion::test
