// Convolutions of several groups on OpenCL against the reference: narrow groups and wide ones,
// channel multipliers, tails on every axis; and which of them the plan runs by which recipe.
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

struct Layer {
    int64_t inputs, outputs, groups, kernel, stride = 1, height = 9, width = 7;
    int batch = 3;

    int64_t padding() const { return kernel / 2; }
    int64_t out(int64_t size) const { return (size + 2 * padding() - kernel) / stride + 1; }
    TensorType x() const { return batched_type({inputs, height, width}); }
    TensorType y() const { return batched_type({outputs, out(height), out(width)}); }
    TensorType filter() const { return plain_type({outputs, inputs / groups, kernel, kernel}); }
    template <class Op>
    std::shared_ptr<Op> op() const {
        auto op = std::make_shared<Op>();
        op->stride = {stride, stride};
        op->padding = {padding(), padding(), padding(), padding()};
        op->groups = groups;
        return op;
    }
    Group forward() const { return group_of(op<Conv2d>(), {x(), filter()}, batch); }
    Group data_gradient(bool rotated = false) const {
        auto backward = op<Conv2dBackwardData>();
        backward->input = {height, width};
        backward->rotated = rotated;
        const TensorType w =
            rotated ? plain_type({inputs, outputs / groups, kernel, kernel}) : filter();
        return group_of(backward, {y(), w}, batch);
    }
    Group filter_gradient() const {
        auto backward = op<Conv2dBackwardFilter>();
        backward->kernel = {kernel, kernel};
        return group_of(backward, {x(), y()}, batch);
    }
};

RecipeCheck default_tile() {
    RecipeCheck check;
    check.all_tilings = false;
    return check;
}

RecipeCheck two_tiles(int piece) {
    RecipeCheck check;
    check.tilings = {to_tiling({.bm = 4, .bp = 128, .tm = 4, .tp = 4, .bk = piece}),
                     to_tiling({.bm = 32, .bp = 56, .tm = 4, .tp = 7, .bk = piece})};
    return check;
}

TEST(GpuGroupedProduct, Convolutions) {
    check_recipe("gpu_grouped_product", Layer{24, 40, 4, 3}.forward(), two_tiles(6));
    check_recipe("gpu_grouped_product", Layer{64, 140, 2, 1}.forward(), default_tile());
    check_recipe("gpu_grouped_product", Layer{5, 15, 5, 5, 2}.forward(), default_tile());
}

TEST(GpuGroupedProduct, DataGradients) {
    check_recipe("gpu_grouped_product", Layer{24, 40, 4, 3}.data_gradient(), two_tiles(10));
    check_recipe("gpu_grouped_product", Layer{24, 40, 4, 3, 1}.data_gradient(/*rotated=*/true),
                 default_tile());
    check_recipe("gpu_grouped_product", Layer{5, 15, 5, 5, 2}.data_gradient(), default_tile());
}

TEST(GpuGroupedProduct, FusedWork) {
    const Layer layer{24, 40, 4, 3};
    check_recipe(
        "gpu_grouped_product",
        make_group(3,
                   [&](GraphBuilder& builder) {
                       const Value x = add_operand(builder, "x", layer.x());
                       const Value w = add_operand(builder, "w", layer.filter());
                       const Value other = add_operand(builder, "other", layer.y());
                       const Value active = builder.add(std::make_shared<Relu>(), {x}, "v0");
                       const Value y = builder.add(layer.op<Conv2d>(), {active, w}, "v1");
                       const Value sum = builder.add(std::make_shared<Add>(), {y, other}, "v2");
                       const Value last = builder.add(std::make_shared<Relu>(), {sum}, "v3");
                       return std::vector<Value>{sum, last};
                   }),
        default_tile());
}

// Groups by themselves, joined ones, and some that are no multiple of what is joined.
TEST(GpuGroupedFilterGradient, OfConvolutions) {
    check_recipe("gpu_grouped_filter_gradient", Layer{32, 32, 8, 3, 2}.filter_gradient(),
                 default_tile());
    check_recipe("gpu_grouped_filter_gradient", Layer{5, 15, 5, 5, 2}.filter_gradient(),
                 default_tile());
    RecipeCheck parts;
    for (const BlockTile& tile : {BlockTile{.bm = 64, .bp = 64, .tm = 8, .tp = 8, .bk = 8},
                                  {.bm = 16, .bp = 56, .tm = 4, .tp = 7, .bk = 8}}) {
        parts.tilings.push_back(to_tiling(tile));
        parts.tilings.back().values.emplace_back("parts", 2);
    }
    check_recipe("gpu_grouped_filter_gradient", Layer{46, 34, 2, 1}.filter_gradient(), parts);
}

std::string planned(const Group& group) {
    const RecipeLibrary library = make_library();
    return std::string(cheapest_recipe(library, group, isa_cuda(), PlanOptions()).recipe->name());
}

// Filters of one channel each by the recipes for them, all others by products.
TEST(GpuGroupedProduct, RunsWhateverHasGroups) {
    for (const auto& [inputs, outputs, groups] :
         {std::tuple{128, 128, 32}, {1024, 1024, 32}, {240, 240, 3}, {96, 256, 2}}) {
        const Layer layer{inputs, outputs, groups, 3, 1, 28, 28, 32};
        EXPECT_EQ(planned(layer.forward()), "gpu_grouped_product");
        EXPECT_EQ(planned(layer.data_gradient(/*rotated=*/true)), "gpu_grouped_product");
        EXPECT_EQ(planned(layer.filter_gradient()), "gpu_grouped_filter_gradient");
    }
    for (const int64_t kernel : {3, 7, 9, 13, 31}) {
        for (const int64_t multiplier : {1, 2}) {
            const Layer layer{96, 96 * multiplier, 96, kernel, 1, 28, 28, 32};
            for (const Group& group :
                 {layer.forward(), layer.data_gradient(), layer.filter_gradient()})
                EXPECT_NE(planned(group), "gpu_default") << group.signature();
        }
    }
}

}  // namespace
}  // namespace emulsion::test
