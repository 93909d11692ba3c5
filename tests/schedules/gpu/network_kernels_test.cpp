// Every kernel of networks as planned for OpenCL, on this machine's driver (PoCL in the tests),
// against the double-precision reference.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "compiler/pipeline.h"
#include "compiler/plan/plan.h"
#include "schedules/library.h"
#include "tests/schedules/recipe_support.h"
#include "tests/support/golden.h"
#include "tests/support/kernel_harness.h"
#include "tests/support/random_network.h"

namespace emulsion::test {
namespace {

constexpr int kBatch = 3;
constexpr int kClasses = 2;  // the fewest of any network here

std::vector<PlannedKernel> kernels_of(const Network& network, const RecipeLibrary& recipes) {
    std::vector<PlannedKernel> kernels;
    std::set<std::string> seen;
    for (bool is_training : {true, false}) {
        PlanOptions options;
        options.training = is_training;
        options.batches = {kBatch};
        options.exact = true;
        options.isas = {isa_opencl()};
        const Plan plan = make_plan(is_training ? training_graph(network, /*exact=*/true)
                                                : inference_graph(network, /*exact=*/true),
                                    recipes, options);
        for (const PlannedKernel& kernel : plan.variants[0].kernels) {
            if (seen.insert(kernel.identity(isa_opencl())).second) kernels.push_back(kernel);
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

void check_kernel(const PlannedKernel& kernel) {
    CompiledRecipe compiled(kernel.group, recipe_named(kernel.recipe), kernel.tiling, isa_opencl());
    for (int64_t samples : {1, kBatch}) {
        reference::Sources sources = random_sources(kernel.group, samples, kClasses);
        make_variances_positive(kernel.group, sources);
        const reference::Values expected = reference::evaluate(kernel.group.body, sources, samples);
        const std::vector<reference::Tensor> actual = compiled.run(sources, samples);
        for (size_t k = 0; k < actual.size(); k++) {
            const Value value = kernel.group.body.results()[k].value;
            const reference::Tensor& right =
                expected[static_cast<size_t>(value.node)][static_cast<size_t>(value.output)];
            double largest = 1e-30;
            for (double v : right.values) largest = std::max(largest, std::abs(v));
            expect_near(actual[k].values, right.values, 1e-5 * largest);
        }
    }
}

void check_kernels(const Network& network) {
    const RecipeLibrary recipes = make_library();
    for (const PlannedKernel& kernel : kernels_of(network, recipes)) {
        SCOPED_TRACE(kernel.identity(isa_opencl()));
        try {
            check_kernel(kernel);
        } catch (const std::exception& error) {
            ADD_FAILURE() << error.what();
        }
    }
}

TEST(DeviceKernels, OfLenet) { check_kernels(golden_network("lenet")); }
TEST(DeviceKernels, OfRandomNetworks) {
    for (uint64_t seed = 1; seed <= 2; seed++) {
        SCOPED_TRACE(seed);
        check_kernels(random_network(seed));
    }
}

}  // namespace
}  // namespace emulsion::test
