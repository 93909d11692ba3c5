// Gradients of filters and dense weights on OpenCL: rows and short rows, tails, parts.
#include <gtest/gtest.h>

#include "compiler/ops/conv2d.h"
#include "compiler/ops/dense.h"
#include "schedules/gpu/product/block_product.h"
#include "tests/schedules/recipe_support.h"

namespace emulsion::test {
namespace {

Tiling tile_of(const BlockTile& tile, int parts) {
    Tiling tiling = to_tiling(tile);
    tiling.values.emplace_back("parts", parts);
    return tiling;
}

RecipeCheck tiles(int piece, std::vector<int> parts) {
    RecipeCheck check;
    for (int count : parts) {
        check.tilings.push_back(
            tile_of({.bm = 64, .bp = 64, .tm = 8, .tp = 8, .bk = piece}, count));
        check.tilings.push_back(
            tile_of({.bm = 16, .bp = 56, .tm = 4, .tp = 7, .bk = piece}, count));
    }
    check.same_bits = parts.size() == 1;  // by tiles; parts are another order
    return check;
}

Group conv_group(int64_t channels, int64_t height, int64_t width, int64_t filters, int64_t kernel,
                 int64_t stride, int64_t padding, int batch) {
    auto op = std::make_shared<Conv2dBackwardFilter>();
    op->stride = {stride, stride};
    op->padding = {padding, padding, padding, padding};
    op->kernel = {kernel, kernel};
    const int64_t out_h = (height + 2 * padding - kernel) / stride + 1,
                  out_w = (width + 2 * padding - kernel) / stride + 1;
    return group_of(
        op, {batched_type({channels, height, width}), batched_type({filters, out_h, out_w})},
        batch);
}

TEST(GpuFilterGradient, OfConvolutions) {
    check_recipe("gpu_filter_gradient", conv_group(8, 9, 8, 16, 3, 1, 1, 3), tiles(8, {1}));
    check_recipe("gpu_filter_gradient", conv_group(5, 7, 9, 20, 3, 1, 1, 3), tiles(8, {1, 4}));
    check_recipe("gpu_filter_gradient", conv_group(3, 11, 11, 17, 5, 2, 2, 2), tiles(8, {2}));
    check_recipe("gpu_filter_gradient", conv_group(9, 7, 7, 18, 3, 1, 1, 3), tiles(28, {2}));
    check_recipe("gpu_filter_gradient", conv_group(70, 5, 5, 33, 1, 1, 0, 3), tiles(16, {1, 3}));
}

TEST(GpuFilterGradient, OfDenseLayers) {
    check_recipe("gpu_filter_gradient",
                 group_of(std::make_shared<DenseBackwardWeights>(),
                          {batched_type({40}), batched_type({33})}, 37),
                 tiles(16, {1, 3}));
    check_recipe("gpu_filter_gradient",
                 group_of(std::make_shared<DenseBackwardWeights>(),
                          {batched_type({1}), batched_type({1})}, 1),
                 tiles(16, {1}));
}

// Weights of 103 million: the sums of more than 20 parts are more than 2^31.
TEST(GpuFilterGradient, CountsTheSumsOfItsParts) {
    const Recipe& recipe = recipe_named("gpu_filter_gradient");
    const Group group = group_of(std::make_shared<DenseBackwardWeights>(),
                                 {batched_type({25088}), batched_type({4096})}, 4096);
    EXPECT_EQ(recipe.space(group, isa_cuda()).back().high, 20);
    ASSERT_TRUE(recipe.applies(group, isa_cuda()));
    for (const Tiling& tiling : recipe.tilings(group, isa_cuda()))
        EXPECT_EQ(tiling_fault(recipe, group, tiling, isa_cuda()), "") << to_string(tiling);
}

}  // namespace
}  // namespace emulsion::test
