// Winograd convolutions of devices on OpenCL against the reference, and where the plan takes them.
#include <gtest/gtest.h>

#include "compiler/ops/activations.h"
#include "compiler/ops/arithmetic.h"
#include "compiler/ops/conv2d.h"
#include "compiler/plan/choice.h"
#include "schedules/gpu/product/block_product.h"
#include "schedules/library.h"
#include "tests/schedules/recipe_support.h"

namespace emulsion::test {
namespace {

void check(const Group& group) {
    RecipeCheck check;
    check.tolerance = recipe_named("gpu_winograd").relative_error(group);
    check.tilings = {to_tiling({.bm = 64, .bp = 64, .tm = 8, .tp = 8, .bk = 8})};
    check_recipe("gpu_winograd", group, check);
}

// Of a map that is two wider than high.
Group forward(int64_t channels, int64_t size, int64_t filters, int64_t kernel,
              const std::vector<int64_t>& padding, int batch) {
    auto op = std::make_shared<Conv2d>();
    op->padding = padding;
    return group_of(
        op,
        {batched_type({channels, size, size + 2}), plain_type({filters, channels, kernel, kernel})},
        batch);
}
Group forward(int64_t channels, int64_t size, int64_t filters, int64_t kernel, int64_t padding,
              int batch) {
    return forward(channels, size, filters, kernel, {padding, padding, padding, padding}, batch);
}

Group data_gradient(int64_t channels, int64_t size, int64_t filters,
                    const std::vector<int64_t>& padding, bool rotated, int batch) {
    auto op = std::make_shared<Conv2dBackwardData>();
    op->padding = padding;
    op->input = {size, size};
    op->rotated = rotated;
    const int64_t height = size + padding[0] + padding[1] - 2,
                  width = size + padding[2] + padding[3] - 2;
    const TensorType filter =
        rotated ? plain_type({channels, filters, 3, 3}) : plain_type({filters, channels, 3, 3});
    return group_of(op, {batched_type({filters, height, width}), filter}, batch);
}

// A border wider than the filter, and of another width on each side.
const std::vector<int64_t> kUneven = {4, 0, 1, 5};

// 4 x 4 and 2 x 2 results of 6 points, 2 x 2 of 4; tails of tiles and of blocks.
TEST(GpuWinograd, Convolutions) {
    check(forward(16, 9, 20, 3, kUneven, 3));
    check(forward(8, 5, 68, 5, 2, 1));
    check(forward(8, 4, 12, 3, 0, 2));
}

TEST(GpuWinograd, DataGradients) { check(data_gradient(20, 10, 8, kUneven, /*rotated=*/false, 3)); }

TEST(GpuWinograd, FusedWork) {
    check(make_group(2, [](GraphBuilder& builder) {
        auto op = std::make_shared<Conv2dBackwardData>();
        op->padding = {1, 1, 1, 1};
        op->input = {7, 10};
        op->rotated = true;
        const Value dy = add_operand(builder, "dy", batched_type({8, 7, 10}));
        const Value w = add_operand(builder, "w", plain_type({20, 8, 3, 3}));
        const Value other = add_operand(builder, "other", batched_type({20, 7, 10}));
        const Value active = builder.add(std::make_shared<Relu>(), {dy}, "v0");
        const Value dx = builder.add(op, {active, w}, "v1");
        const Value sum = builder.add(std::make_shared<Add>(), {dx, other}, "v2");
        return std::vector<Value>{sum, builder.add(std::make_shared<Relu>(), {sum}, "v3")};
    }));
}

Group filter_gradient(int64_t channels, int64_t size, int64_t filters, int64_t kernel,
                      int64_t padding, int batch) {
    auto op = std::make_shared<Conv2dBackwardFilter>();
    op->padding = {padding, padding, padding, padding};
    op->kernel = {kernel, kernel};
    const int64_t out = size + 2 * padding - kernel + 1;
    return group_of(op, {batched_type({channels, size, size}), batched_type({filters, out, out})},
                    batch);
}

// Over 6 and over 4 points; two parts, and one with a tail.
TEST(GpuWinogradFilterGradient, OfConvolutions) {
    for (const auto& [group, parts] : {std::pair{filter_gradient(12, 14, 16, 3, 1, 5), 2},
                                       std::pair{filter_gradient(8, 6, 32, 3, 1, 4), 1}}) {
        RecipeCheck check;
        check.tolerance = recipe_named("gpu_winograd_filter_gradient").relative_error(group);
        for (const int piece : {8, 16}) {  // which decides no bits
            check.tilings.push_back(to_tiling({.bm = 64, .bp = 64, .tm = 8, .tp = 8, .bk = piece}));
            check.tilings.back().values.emplace_back("parts", parts);
        }
        check_recipe("gpu_winograd_filter_gradient", group, check);
    }
}

// Chains end at 1,024 tiles as long as there are parts for them; what is stated grows with theirs.
TEST(GpuWinogradFilterGradient, OfManyTiles) {
    const Recipe& recipe = recipe_named("gpu_winograd_filter_gradient");
    const auto parts = [&](const Group& group) { return recipe.space(group, isa_cuda()).back(); };
    const Group wide = filter_gradient(256, 56, 256, 3, 1, 64);  // 12,544 tiles
    EXPECT_EQ(parts(wide).low, 8);
    for (const Tiling& tiling : recipe.tilings(wide, isa_cuda()))
        EXPECT_EQ(tiling_fault(recipe, wide, tiling, isa_cuda()), "") << to_string(tiling);
    EXPECT_GT(recipe.relative_error(wide), 5e-5);
    EXPECT_EQ(parts(filter_gradient(256, 28, 256, 3, 1, 64)).low, 4);
    EXPECT_EQ(parts(filter_gradient(256, 14, 256, 3, 1, 64)).low, 1);
    EXPECT_LT(recipe.relative_error(filter_gradient(256, 14, 256, 3, 1, 64)), 5e-5);

    const Group many = filter_gradient(4, 24, 16, 3, 1, 29);  // 1,044
    RecipeCheck check;
    check.tolerance = recipe.relative_error(many);
    check.tilings = {to_tiling({.bm = 16, .bp = 16, .tm = 4, .tp = 4, .bk = 16})};
    check.tilings[0].values.emplace_back("parts", parts(many).low);
    EXPECT_EQ(parts(many).low, 2);
    check_recipe("gpu_winograd_filter_gradient", many, check);
}

std::string planned(const Group& group, bool exact) {
    const RecipeLibrary library = make_library();
    PlanOptions options;
    options.exact = exact;
    return std::string(cheapest_recipe(library, group, isa_cuda(), options).recipe->name());
}

// Many channels on both sides of many positions; never where --exact asks for none.
TEST(GpuWinograd, IsTakenWhereItPays) {
    for (const int64_t channels : {256, 512}) {
        const Group wide = forward(channels, 14, channels, 3, 1, 64);
        EXPECT_EQ(planned(wide, /*exact=*/false), "gpu_winograd");
        EXPECT_EQ(planned(wide, /*exact=*/true), "gpu_product");
        EXPECT_EQ(planned(data_gradient(channels, 14, channels, {1, 1, 1, 1}, true, 64), false),
                  "gpu_winograd");
    }
    EXPECT_EQ(planned(filter_gradient(256, 14, 256, 3, 1, 64), false),
              "gpu_winograd_filter_gradient");
    EXPECT_EQ(planned(filter_gradient(256, 14, 256, 3, 1, 64), true), "gpu_filter_gradient");
    EXPECT_EQ(planned(filter_gradient(16, 32, 16, 3, 1, 128), false), "gpu_filter_gradient");
    EXPECT_EQ(planned(forward(16, 32, 16, 3, 1, 128), false), "gpu_product");
    EXPECT_NE(planned(forward(256, 14, 256, 3, 1, 1), false), "gpu_winograd");
    EXPECT_FALSE(recipe_named("gpu_winograd").is_exact());
}

TEST(GpuWinograd, LeavesTheRestToOthers) {
    const Recipe& recipe = recipe_named("gpu_winograd");
    EXPECT_TRUE(recipe.applies(forward(8, 9, 12, 3, 1, 1), isa_opencl()));
    EXPECT_FALSE(recipe.applies(forward(12, 9, 12, 3, 1, 1), isa_opencl()));
    EXPECT_FALSE(recipe.applies(forward(8, 9, 10, 3, 1, 1), isa_opencl()));
    EXPECT_FALSE(recipe.applies(forward(8, 9, 12, 7, 1, 1), isa_opencl()));
    auto strided = std::make_shared<Conv2d>();
    strided->stride = {2, 2};
    const Group group = group_of(strided, {batched_type({8, 9, 9}), plain_type({12, 8, 3, 3})}, 1);
    EXPECT_FALSE(recipe.applies(group, isa_opencl()));
    // Transformed maps beyond 1 GiB.
    EXPECT_TRUE(recipe.applies(forward(64, 112, 128, 3, 1, 64), isa_cuda()));
    EXPECT_FALSE(recipe.applies(forward(64, 222, 64, 3, 1, 64), isa_cuda()));
    EXPECT_FALSE(recipe_named("gpu_winograd_filter_gradient")
                     .applies(filter_gradient(64, 224, 64, 3, 1, 64), isa_cuda()));
    EXPECT_NE(
        recipe.clash(forward(8, 9, 12, 3, 1, 1),
                     to_tiling({.bm = 16, .bp = 64, .tm = 4, .tp = 8, .bk = 16}), isa_opencl()),
        "");
}

}  // namespace
}  // namespace emulsion::test
