// Every kernel of networks as planned for an interface of devices and as it ships, on this
// machine's driver (PoCL and lavapipe in the tests), against the double-precision reference.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "compiler/pipeline.h"
#include "compiler/plan/plan.h"
#include "schedules/library.h"
#include "tests/schedules/recipe_support.h"
#include "tests/support/device_harness.h"
#include "tests/support/golden.h"
#include "tests/support/kernel_harness.h"
#include "tests/support/random_network.h"

namespace emulsion::test {
namespace {

constexpr int kBatch = 3;
constexpr int kClasses = 2;  // the fewest of any network here

std::vector<PlannedKernel> kernels_of(const Network& network, const RecipeLibrary& recipes,
                                      const Isa& isa) {
    std::vector<PlannedKernel> kernels;
    std::set<std::string> seen;
    for (bool is_training : {true, false}) {
        PlanOptions options;
        options.training = is_training;
        options.batches = {kBatch};
        options.exact = true;
        options.isas = {isa};
        const Plan plan = make_plan(
            is_training ? device_training_graph(network) : inference_graph(network, /*exact=*/true),
            recipes, options);
        for (const PlannedKernel& kernel : plan.variants[0].kernels) {
            if (seen.insert(kernel.identity(isa)).second) kernels.push_back(kernel);
        }
    }
    return kernels;
}

// Sums of deviations are small beside those of their squares, as variances are positive.
void make_variances_positive(const Group& group, reference::Sources& sources) {
    for (const Node& node : group.body.nodes()) {
        if (node.op->kind() != "merge_moments") continue;
        const Node& offset = group.body.node(node.inputs[1].node);
        if (!sources.contains(offset.name)) continue;
        for (double& value : sources.at(offset.name).values) value /= 64;
    }
}

void check_kernel(const Group& group, const CompiledKernel& compiled,
                  const emulsion_device_api& api) {
    const DeviceKernel kernel(group, compiled);
    DeviceRun device(kernel, api);
    std::vector<std::vector<std::byte>> actual;
    for (int64_t samples : {1, kBatch}) {
        reference::Sources sources = random_sources(group, samples, kClasses);
        make_variances_positive(group, sources);
        const reference::Values expected = reference::evaluate(group.body, sources, samples);
        actual = device.run(sources, samples);
        for (size_t k = 0; k < actual.size(); k++) {
            const Value value = group.body.results()[k].value;
            const reference::Tensor& right =
                expected[static_cast<size_t>(value.node)][static_cast<size_t>(value.output)];
            double largest = 1e-30;
            for (double v : right.values) largest = std::max(largest, std::abs(v));
            expect_near(reference::unpack(right.type, samples, actual[k].data()).values,
                        right.values, 1e-5 * largest);
        }
        // Again: the same bits, and nothing is made.
        const emulsion_device before = *device.device().get();
        EXPECT_EQ(device.run(sources, samples), actual);
        EXPECT_EQ(device.device()->programs, before.programs);
        EXPECT_EQ(device.device()->kernels, before.kernels);
        EXPECT_EQ(device.device()->allocations, before.allocations);
    }
}

const emulsion_device_api& api_of(const std::string& name) {
    if (name == emulsion_vulkan.name) return emulsion_vulkan;
    return name == emulsion_cuda.name ? emulsion_cuda : emulsion_opencl;
}

class DeviceKernels : public ::testing::TestWithParam<std::string> {
  protected:
    void SetUp() override {
        char text[EMULSION_DEVICE_TEXT] = "";
        if (api_of(GetParam()).count(text) == 0) GTEST_SKIP() << text;
    }

    static void check(const Network& network) {
        const emulsion_device_api& api = api_of(GetParam());
        const Isa& isa = *find_device_isa(api.name);
        const RecipeLibrary recipes = make_library();
        const std::vector<PlannedKernel> kernels = kernels_of(network, recipes, isa);
        const std::vector<CompiledKernel> compiled =
            compile_kernels(kernels, isa, recipes, KernelOptions());
        for (size_t i = 0; i < kernels.size(); i++) {
            SCOPED_TRACE(kernels[i].identity(isa));
            try {
                check_kernel(kernels[i].group, compiled[i], api);
            } catch (const std::exception& error) {
                ADD_FAILURE() << error.what();
            }
        }
    }
};

TEST_P(DeviceKernels, OfLenet) { check(golden_network("lenet")); }
TEST_P(DeviceKernels, OfRandomNetworks) {
    for (uint64_t seed = 1; seed <= 2; seed++) {
        SCOPED_TRACE(seed);
        check(random_network(seed));
    }
}

INSTANTIATE_TEST_SUITE_P(All, DeviceKernels, ::testing::Values("opencl", "cuda", "vulkan"),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace emulsion::test
