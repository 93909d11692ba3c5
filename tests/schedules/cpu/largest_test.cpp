// Tensors of as many elements as the compiler takes: kernels count in 32 bits, and what they round
// up to whole tasks and vectors must stay within them. The compiler of the kernels notices where
// it does not.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "compiler/codegen/kernel.h"
#include "compiler/graph/limits.h"
#include "compiler/ops/activations.h"
#include "compiler/ops/max_pool.h"
#include "compiler/ops/reduce.h"
#include "compiler/ops/softmax.h"
#include "schedules/library.h"
#include "tests/schedules/recipe_support.h"

namespace emulsion::test {
namespace {

// The recipe's default tiling with the largest value of each field of the space that goes with it.
Tiling largest_tiling(const Recipe& recipe, const Group& group, const Isa& isa) {
    const TilingSpace space = recipe.space(group, isa);
    Tiling tiling = in_full(space, recipe.tilings(group, isa)[0]);
    for (const TilingField& field : space) {
        Tiling larger = tiling;
        for (auto& [name, value] : larger.values) {
            if (name != field.name) continue;
            value = field.values.empty() ? field.high : std::ranges::max(field.values);
        }
        if (tiling_fault(recipe, group, in_short(space, larger), isa).empty()) tiling = larger;
    }
    return in_short(space, tiling);
}

std::shared_ptr<const MaxPool> pool_of_three() {
    auto pool = std::make_shared<MaxPool>();
    pool->window = {1, 3};
    pool->padding = {0, 0, 1, 1};
    return pool;
}

TEST(LargestTensors, TheirKernelsCompile) {
    const RecipeLibrary library = make_library();
    const TensorType row = batched_type({1, 1, kMostElements}),
                     vector = batched_type({kMostElements});
    constexpr int kBatch = 65536;  // counted when the kernel runs
    const TensorType short_row = batched_type({1, 1, kMostElements / kBatch});
    const std::vector<Group> groups = {
        group_of(std::make_shared<Tanh>(), {row}, 1),
        group_of(std::make_shared<Tanh>(), {vector}, 1),
        group_of(std::make_shared<Tanh>(), {batched_type({1})}, kBatch),
        group_of(std::make_shared<Tanh>(), {short_row}, kBatch),
        group_of(pool_of_three(), {batched_type({1, 1, kMostElements - 2})}, 1),
        group_of(pool_of_three(), {short_row}, kBatch),
        group_of(std::make_shared<Softmax>(), {vector}, 1),
    };
    std::vector<PlannedKernel> kernels;
    for (const Group& group : groups) {
        for (const auto& recipe : library) {
            if (!can_run(*recipe, group, isa_avx2(), false)) continue;
            const Tiling tiling = largest_tiling(*recipe, group, isa_avx2());
            kernels.push_back({group, std::string(recipe->name()), recipe->version(), tiling});
        }
    }
    EXPECT_GE(kernels.size(), groups.size());
    for (const KernelAttempt& attempt : try_compile_kernels(kernels, isa_avx2(), library, {}))
        EXPECT_EQ(attempt.failure, "");
}

TEST(LargestTensors, NoTaskIsLargerThanWhatIsLeft) {
    const Group group = group_of(std::make_shared<Tanh>(), {batched_type({1, 1, 1 << 30})}, 1);
    const Recipe& pointwise = recipe_named("pointwise");
    EXPECT_EQ(largest_tiling(pointwise, group, isa_avx2()).at("task"), kMostTask);
}

}  // namespace
}  // namespace emulsion::test
