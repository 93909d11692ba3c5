// Block products on OpenCL against the reference: three directions, tails on every axis.
#include <gtest/gtest.h>

#include "compiler/ops/activations.h"
#include "compiler/ops/arithmetic.h"
#include "compiler/ops/conv2d.h"
#include "compiler/ops/dense.h"
#include "compiler/ops/moments.h"
#include "schedules/gpu/product/block_product.h"
#include "tests/schedules/recipe_support.h"

namespace emulsion::test {
namespace {

// Bits do not depend on the tile: the default, and one of other sizes in every field.
RecipeCheck two_tiles(int piece) {
    RecipeCheck check;
    check.tilings = {to_tiling({.bm = 64, .bp = 64, .tm = 8, .tp = 8, .bk = piece}),
                     to_tiling({.bm = 32, .bp = 56, .tm = 4, .tp = 7, .bk = piece})};
    return check;
}

Group conv_group(int64_t channels, int64_t height, int64_t width, int64_t filters, int64_t kernel,
                 int64_t stride, int64_t padding, int64_t dilation, int batch) {
    auto op = std::make_shared<Conv2d>();
    op->stride = {stride, stride};
    op->padding = {padding, padding, padding, padding};
    op->dilation = {dilation, dilation};
    return group_of(
        op,
        {batched_type({channels, height, width}), plain_type({filters, channels, kernel, kernel})},
        batch);
}

TEST(GpuProduct, Convolutions) {
    check_recipe("gpu_product", conv_group(8, 9, 7, 16, 3, 1, 1, 1, 3), two_tiles(8));
    check_recipe("gpu_product", conv_group(3, 11, 13, 20, 5, 2, 2, 1, 2), two_tiles(3));
    check_recipe("gpu_product", conv_group(13, 6, 6, 17, 3, 1, 0, 2, 2), two_tiles(8));
    check_recipe("gpu_product", conv_group(32, 5, 5, 70, 1, 1, 0, 1, 3), two_tiles(16));
    check_recipe("gpu_product", conv_group(1, 1, 1, 1, 1, 1, 0, 1, 1), two_tiles(1));
}

TEST(GpuProduct, DataGradients) {
    for (bool rotated : {false, true}) {
        for (int64_t stride : {1, 2}) {
            auto op = std::make_shared<Conv2dBackwardData>();
            op->stride = {stride, stride};
            op->padding = {1, 1, 1, 1};
            op->input = {9, 7};
            op->rotated = rotated;
            const int64_t height = (9 + 2 - 3) / stride + 1, width = (7 + 2 - 3) / stride + 1;
            const std::vector<int64_t> filter =
                rotated ? std::vector<int64_t>{10, 18, 3, 3} : std::vector<int64_t>{18, 10, 3, 3};
            check_recipe("gpu_product",
                         group_of(op, {batched_type({18, height, width}), plain_type(filter)}, 3),
                         two_tiles(8));
        }
    }
}

Group strided_gradient(int64_t height, int64_t width, int64_t kernel, int64_t stride,
                       int64_t padding, bool rotated) {
    auto op = std::make_shared<Conv2dBackwardData>();
    op->stride = {stride, stride};
    op->padding = {padding, padding, padding, padding};
    op->input = {height, width};
    op->rotated = rotated;
    const TensorType filter =
        rotated ? plain_type({10, 18, kernel, kernel}) : plain_type({18, 10, kernel, kernel});
    return group_of(op,
                    {batched_type({18, (height + 2 * padding - kernel) / stride + 1,
                                   (width + 2 * padding - kernel) / stride + 1}),
                     filter},
                    3);
}

// Classes of one size and of several, with more taps, fewer, none.
TEST(GpuStridedGradient, OfConvolutions) {
    for (bool rotated : {false, true})
        check_recipe("gpu_strided_gradient", strided_gradient(9, 7, 3, 2, 1, rotated),
                     two_tiles(8));
    check_recipe("gpu_strided_gradient", strided_gradient(8, 8, 1, 2, 0, false), two_tiles(8));
    check_recipe("gpu_strided_gradient", strided_gradient(10, 11, 5, 3, 2, false), two_tiles(4));
}

TEST(GpuStridedGradient, FusedWork) {
    const Group group = make_group(3, [](GraphBuilder& builder) {
        auto op = std::make_shared<Conv2dBackwardData>();
        op->stride = {2, 2};
        op->padding = {1, 1, 1, 1};
        op->input = {6, 8};
        const Value dy = add_operand(builder, "dy", batched_type({12, 3, 4}));
        const Value w = add_operand(builder, "w", plain_type({12, 20, 3, 3}));
        const Value y = add_operand(builder, "y", batched_type({20, 6, 8}));
        const Value dx = builder.add(op, {dy, w}, "v0");
        return std::vector<Value>{builder.add(std::make_shared<ReluBackward>(), {dx, y}, "v1")};
    });
    check_recipe("gpu_strided_gradient", group, two_tiles(4));
}

RecipeCheck two_splits(int piece, int parts) {
    RecipeCheck check = two_tiles(piece);
    for (Tiling& tiling : check.tilings) tiling.values.emplace_back("parts", parts);
    return check;
}

TEST(GpuSplitProduct, DenseLayers) {
    for (const auto& [inputs, outputs] : {std::pair<int64_t, int64_t>{100, 33}, {64, 70}}) {
        check_recipe("gpu_split_product",
                     group_of(std::make_shared<Dense>(),
                              {batched_type({inputs}), plain_type({outputs, inputs})}, 5),
                     two_splits(8, 3));
    }
    check_recipe("gpu_split_product",
                 group_of(std::make_shared<DenseBackwardData>(),
                          {batched_type({70}), plain_type({70, 31})}, 5),
                 two_splits(8, 2));
}

TEST(GpuSplitProduct, Convolutions) {
    check_recipe("gpu_split_product", conv_group(40, 5, 4, 21, 3, 1, 1, 1, 2), two_splits(8, 2));
    check_recipe("gpu_split_product", conv_group(64, 3, 3, 16, 1, 1, 0, 1, 1), two_splits(16, 2));
}

std::vector<std::string> order_fields(const std::string& recipe, const Group& group) {
    std::vector<std::string> names;
    for (const TilingField& field : recipe_named(recipe).space(group, isa_cuda())) {
        if (field.order) names.push_back(field.name);
    }
    return names;
}

// Parts are of whole pieces, so their begins follow from both.
TEST(GpuSplitProduct, PiecesAndPartsDecideTheOrder) {
    const Group group =
        group_of(std::make_shared<Dense>(), {batched_type({100}), plain_type({33, 100})}, 5);
    EXPECT_EQ(order_fields("gpu_split_product", group), (std::vector<std::string>{"bk", "parts"}));
    EXPECT_EQ(order_fields("gpu_product", group), std::vector<std::string>());
}

// vgg16's first dense layer, of so many samples that the sums of 32 parts are more than 2^31.
TEST(GpuSplitProduct, CountsTheResultsOfItsParts) {
    const Recipe& recipe = recipe_named("gpu_split_product");
    const auto group = [](int batch) {
        return group_of(std::make_shared<DenseBackwardData>(),
                        {batched_type({4096}), plain_type({4096, 25088})}, batch);
    };
    EXPECT_EQ(recipe.space(group(64), isa_cuda()).back().high, 32);
    const Group many = group(4096);
    EXPECT_EQ(recipe.space(many, isa_cuda()).back().high, 20);
    for (const Tiling& tiling : recipe.tilings(many, isa_cuda()))
        EXPECT_EQ(tiling_fault(recipe, many, tiling, isa_cuda()), "") << to_string(tiling);
    EXPECT_TRUE(recipe.applies(group(41943), isa_cuda()));
    EXPECT_FALSE(recipe.applies(group(42800), isa_cuda()));
}

TEST(GpuProduct, DenseLayers) {
    for (const auto& [inputs, outputs] : {std::pair<int64_t, int64_t>{40, 33}, {7, 10}, {1, 1}}) {
        check_recipe("gpu_product",
                     group_of(std::make_shared<Dense>(),
                              {batched_type({inputs}), plain_type({outputs, inputs})}, 5),
                     two_tiles(inputs % 8 == 0 ? 8 : 1));
        check_recipe("gpu_product",
                     group_of(std::make_shared<DenseBackwardData>(),
                              {batched_type({outputs}), plain_type({outputs, inputs})}, 5),
                     two_tiles(8));
    }
}

// What the prologue makes is stored too: by one block of channels or two, with tails of positions,
// beside sums over strips.
TEST(GpuProduct, StoredPrologues) {
    for (const bool has_sums : {false, true}) {
        const int64_t height = has_sums ? 8 : 7, width = has_sums ? 4 : 6;
        const Group group = make_group(3, [&](GraphBuilder& builder) {
            const Value x = add_operand(builder, "x", batched_type({24, height, width}));
            const Value bias = add_operand(builder, "bias", plain_type({24}));
            const Value w = add_operand(builder, "w", plain_type({40, 24, 3, 3}));
            auto op = std::make_shared<Conv2d>();
            op->padding = {1, 1, 1, 1};
            const Value moved = builder.add(std::make_shared<Add>(), {x, bias}, "v0");
            const Value map = builder.add(std::make_shared<Relu>(), {moved}, "v1");
            const Value y = builder.add(op, {map, w}, "v2");
            std::vector<Value> results = {y};
            if (has_sums) {
                const Value sums = builder.add(std::make_shared<PartialMoments>(), {y}, "v3");
                results.insert(results.end(), {sums, {sums.node, 1}, {sums.node, 2}});
            }
            results.push_back(map);
            return results;
        });
        RecipeCheck check;
        check.tilings = {has_sums ? to_tiling({.bm = 32, .bp = 32, .tm = 4, .tp = 8, .bk = 8})
                                  : to_tiling({.bm = 64, .bp = 48, .tm = 8, .tp = 8, .bk = 8})};
        check_recipe("gpu_product", group, check);
    }
}

TEST(GpuProduct, StoresProloguesOfItsOwnPositionsAlone) {
    const auto group = [](int64_t stride, int64_t channels) {
        return make_group(3, [&](GraphBuilder& builder) {
            const Value x = add_operand(builder, "x", batched_type({channels, 8, 8}));
            const Value w = add_operand(builder, "w", plain_type({40, channels, 3, 3}));
            auto op = std::make_shared<Conv2d>();
            op->padding = {1, 1, 1, 1};
            op->stride = {stride, stride};
            const Value map = builder.add(std::make_shared<Relu>(), {x}, "v0");
            return std::vector<Value>{builder.add(op, {map, w}, "v1"), map};
        });
    };
    const Recipe& recipe = recipe_named("gpu_product");
    EXPECT_TRUE(recipe.applies(group(1, 24), isa_cuda()));
    EXPECT_FALSE(recipe.applies(group(2, 24), isa_cuda()));
    EXPECT_FALSE(recipe.applies(group(1, 23), isa_cuda()));
    const Tiling narrow = to_tiling({.bm = 16, .bp = 64, .tm = 4, .tp = 8, .bk = 8});
    EXPECT_EQ(recipe.clash(group(1, 24), narrow, isa_cuda()), "");
    EXPECT_NE(recipe.clash(group(1, 16), narrow, isa_cuda()), "");  // by three blocks
}

TEST(GpuProduct, FusedWork) {
    const Group group = make_group(3, [](GraphBuilder& builder) {
        const Value x = add_operand(builder, "x", batched_type({12, 6, 5}));
        const Value w = add_operand(builder, "w", plain_type({20, 12, 3, 3}));
        const Value other = add_operand(builder, "other", batched_type({20, 6, 5}));
        auto op = std::make_shared<Conv2d>();
        op->padding = {1, 1, 1, 1};
        const Value active = builder.add(std::make_shared<Relu>(), {x}, "v0");
        const Value y = builder.add(op, {active, w}, "v1");
        const Value sum = builder.add(std::make_shared<Add>(), {y, other}, "v2");
        return std::vector<Value>{sum, builder.add(std::make_shared<Relu>(), {sum}, "v3")};
    });
    check_recipe("gpu_product", group, two_tiles(4));
}

}  // namespace
}  // namespace emulsion::test
