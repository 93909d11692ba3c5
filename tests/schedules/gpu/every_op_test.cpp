// Every op, on a small sample of its operands, compiles for every interface of devices, by each
// recipe for devices that takes it: what one code generator of Halide has no form of is found
// without a device.
#include <gtest/gtest.h>

#include "compiler/codegen/kernel.h"
#include "compiler/ops/registry.h"
#include "dsl/op_sample.h"
#include "schedules/library.h"
#include "tests/schedules/recipe_support.h"

namespace emulsion::test {
namespace {

class EveryOpOnDevices : public testing::TestWithParam<const Isa*> {};

TEST_P(EveryOpOnDevices, Compiles) {
    const Isa& isa = *GetParam();
    const RecipeLibrary library = make_library();
    std::vector<PlannedKernel> kernels;
    for (std::string_view kind : op_kinds()) {
        if (!is_built_in(kind)) continue;  // of another test
        for (const Group& group : samples_of_op(kind)) {
            for (std::string_view name : recipes_for({group}, library, /*for_devices=*/true)) {
                const Recipe& recipe = recipe_named(std::string(name));
                if (!recipe.applies(group, isa)) continue;
                PlannedKernel kernel{group, std::string(name), recipe.version(),
                                     recipe.tilings(group, isa).front()};
                kernel.scratch = recipe.scratch(group, kernel.tiling);
                kernels.push_back(kernel);
            }
        }
    }
    EXPECT_GE(kernels.size(), 150u);
    KernelOptions options;
    options.use_cache = false;
    const std::vector<KernelAttempt> attempts = try_compile_kernels(kernels, isa, library, options);
    for (size_t i = 0; i < kernels.size(); i++)
        EXPECT_EQ(attempts[i].failure, "") << kernels[i].identity(isa);
}

INSTANTIATE_TEST_SUITE_P(All, EveryOpOnDevices,
                         testing::Values(&isa_opencl(), &isa_cuda(), &isa_vulkan()),
                         [](const auto& each) { return each.param->name; });

}  // namespace
}  // namespace emulsion::test
