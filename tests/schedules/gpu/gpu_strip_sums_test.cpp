// Sums over strips inside the block products that make their map, on OpenCL against the reference.
#include <gtest/gtest.h>

#include "compiler/ops/activations.h"
#include "compiler/ops/conv2d.h"
#include "compiler/ops/moments.h"
#include "schedules/gpu/product/block_product.h"
#include "tests/schedules/recipe_support.h"

namespace emulsion::test {
namespace {

void check(const Group& group, const BlockTile& tile) {
    RecipeCheck check;
    check.tilings = {to_tiling(tile)};
    check_recipe("gpu_product", group, check);
}

std::vector<Value> with_outputs(const GraphBuilder& builder, Value map, Value sums) {
    std::vector<Value> results = {map};
    const auto count = static_cast<int>(builder.graph().node(sums.node).types.size());
    for (int k = 0; k < count; k++) results.push_back({sums.node, k});
    return results;
}

Group moments(int64_t channels, int64_t height, int64_t width, int64_t filters, int batch) {
    return make_group(batch, [&](GraphBuilder& builder) {
        auto op = std::make_shared<Conv2d>();
        op->padding = {1, 1, 1, 1};
        const Value x = add_operand(builder, "a0", batched_type({channels, height, width}));
        const Value w = add_operand(builder, "a1", plain_type({filters, channels, 3, 3}));
        const Value y = builder.add(op, {x, w}, "v0");
        return with_outputs(builder, y, builder.add(std::make_shared<PartialMoments>(), {y}, "v1"));
    });
}

// Several strips of a block, of maps that are lower than a strip too; channels and blocks with
// tails.
TEST(GpuStripSums, MomentsOfConvolutions) {
    check(moments(8, 8, 8, 20, 3), {.bm = 64, .bp = 64, .tm = 8, .tp = 8, .bk = 8});
    check(moments(8, 3, 4, 17, 2), {.bm = 32, .bp = 48, .tm = 8, .tp = 4, .bk = 8});
}

// Behind what the gradient fuses, with another map and a mean that the sums alone read.
TEST(GpuStripSums, DotsOfDataGradients) {
    for (const bool rotated : {true, false}) {
        const Group group = make_group(3, [&](GraphBuilder& builder) {
            auto op = std::make_shared<Conv2dBackwardData>();
            op->padding = {1, 1, 1, 1};
            op->input = {8, 4};
            op->rotated = rotated;
            const TensorType map = batched_type({12, 8, 4});
            const Value dy = add_operand(builder, "a0", batched_type({8, 8, 4}));
            const Value w = add_operand(
                builder, "a1", rotated ? plain_type({12, 8, 3, 3}) : plain_type({8, 12, 3, 3}));
            const Value y = add_operand(builder, "a2", map);
            const Value x = add_operand(builder, "a3", map);
            const Value mean = add_operand(builder, "a4", plain_type({12}));
            const Value dx = builder.add(op, {dy, w}, "v0");
            const Value g = builder.add(std::make_shared<ReluBackward>(), {dx, y}, "v1");
            return with_outputs(builder, g,
                                builder.add(std::make_shared<PartialDots>(), {g, x, mean}, "v2"));
        });
        // Two strips of a block, and one.
        const int bp = rotated ? 32 : 16;
        check(group, {.bm = 64, .bp = bp, .tm = 8, .tp = 8, .bk = 8});
    }
}

TEST(GpuStripSums, NeedWholeStripsInABlock) {
    const Recipe& recipe = recipe_named("gpu_product");
    EXPECT_TRUE(recipe.applies(moments(8, 32, 32, 16, 2), isa_cuda()));
    EXPECT_FALSE(recipe.applies(moments(8, 56, 56, 16, 2), isa_cuda()));
    EXPECT_FALSE(recipe.applies(moments(8, 14, 14, 16, 2), isa_cuda()));
    const Tiling narrow = to_tiling({.bm = 16, .bp = 64, .tm = 4, .tp = 8, .bk = 8});
    EXPECT_NE(recipe.clash(moments(8, 32, 32, 16, 2), narrow, isa_cuda()), "");
    EXPECT_EQ(recipe.clash(moments(8, 16, 16, 16, 2), narrow, isa_cuda()), "");
}

// A block keeps all maps of the group, and what its sums read of the anchor's beside them.
TEST(GpuStripSums, NeedRegistersForWhatABlockKeeps) {
    const Recipe& recipe = recipe_named("gpu_product");
    const Tiling wide = to_tiling({.bm = 64, .bp = 64, .tm = 8, .tp = 8, .bk = 8}),
                 narrow = to_tiling({.bm = 64, .bp = 64, .tm = 8, .tp = 4, .bk = 8});
    for (const int maps : {1, 2, 3}) {
        const Group group = make_group(2, [&](GraphBuilder& builder) {
            auto op = std::make_shared<Conv2d>();
            op->padding = {1, 1, 1, 1};
            const Value x = add_operand(builder, "a0", batched_type({8, 8, 8}));
            const Value w = add_operand(builder, "a1", plain_type({16, 8, 3, 3}));
            std::vector<Value> values = {builder.add(op, {x, w}, "v0")};
            for (int k = 1; k < maps; k++) {
                values.push_back(builder.add(std::make_shared<Relu>(), {values.back()},
                                             "v" + std::to_string(k)));
            }
            const Value sums = builder.add(std::make_shared<PartialMoments>(), {values[0]}, "sums");
            values.insert(values.end(), {sums, {sums.node, 1}, {sums.node, 2}});
            return values;
        });
        EXPECT_EQ(recipe.clash(group, narrow, isa_cuda()), "");
        EXPECT_EQ(recipe.clash(group, wide, isa_cuda()).empty(), maps < 3) << maps;
    }
}

}  // namespace
}  // namespace emulsion::test
