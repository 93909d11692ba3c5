// Every op, on a small sample of its operands, by each recipe for devices that takes it: compiles
// for every interface, so that what one code generator of Halide has no form of is found without a
// device, and agrees with the reference where there is a driver.
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <string_view>
#include <vector>

#include "compiler/codegen/kernel.h"
#include "compiler/ops/registry.h"
#include "dsl/op_sample.h"
#include "schedules/library.h"
#include "tests/schedules/recipe_support.h"

namespace emulsion::test {
namespace {

class EveryOpOnDevices : public testing::TestWithParam<const Isa*> {
  protected:
    // Calls visit(group, recipe) for each recipe that takes the sample.
    template <class Visit>
    void for_recipes(const RecipeLibrary& library, const Visit& visit) {
        for (std::string_view kind : op_kinds()) {
            if (!is_built_in(kind)) continue;  // of another test
            for (const Group& group : samples_of_op(kind)) {
                for (std::string_view name : recipes_for({group}, library, /*for_devices=*/true)) {
                    const Recipe& recipe = recipe_named(std::string(name));
                    if (recipe.applies(group, *GetParam())) visit(group, recipe);
                }
            }
        }
    }
};

TEST_P(EveryOpOnDevices, Compiles) {
    const Isa& isa = *GetParam();
    const RecipeLibrary library = make_library();
    std::vector<PlannedKernel> kernels;
    for_recipes(library, [&](const Group& group, const Recipe& recipe) {
        PlannedKernel kernel{group, std::string(recipe.name()), recipe.version(),
                             recipe.tilings(group, isa).front()};
        kernel.scratch = recipe.scratch(group, kernel.tiling);
        kernels.push_back(kernel);
    });
    EXPECT_GE(kernels.size(), 150u);
    KernelOptions options;
    options.use_cache = false;
    const std::vector<KernelAttempt> attempts = try_compile_kernels(kernels, isa, library, options);
    for (size_t i = 0; i < kernels.size(); i++)
        EXPECT_EQ(attempts[i].failure, "") << kernels[i].identity(isa);
}

// Operands of these must go together: indices are in range, and winners are what their op found.
const std::set<std::string_view> kOfRelatedOperands = {"scatter_max", "scatter_max_backward",
                                                       "scatter_sum"};

TEST_P(EveryOpOnDevices, AgreesWithTheReference) {
    if (std::getenv("EMULSION_LONG_TESTS") == nullptr)
        GTEST_SKIP() << "takes minutes; fix: set EMULSION_LONG_TESTS=1";
    if (!has_driver(*GetParam())) GTEST_SKIP() << "no driver of " << GetParam()->name;
    for_recipes(make_library(), [&](const Group& group, const Recipe& recipe) {
        const Graph& body = group.body;
        if (kOfRelatedOperands.contains(body.node(body.results()[0].value.node).op->kind())) return;
        RecipeCheck check;
        check.all_tilings = false;
        check.device = GetParam();
        for (const Node& node : body.nodes()) {
            if (node.op->op_class() != OpClass::source) continue;
            const bool is_number = node.types[0].element == ElementType::f32;
            check.fills[node.name] = is_number ? Fill::positive : Fill::labels;
        }
        check_recipe(std::string(recipe.name()), group, check);
    });
}

INSTANTIATE_TEST_SUITE_P(All, EveryOpOnDevices,
                         testing::Values(&isa_opencl(), &isa_cuda(), &isa_vulkan()),
                         [](const auto& each) { return each.param->name; });

}  // namespace
}  // namespace emulsion::test
