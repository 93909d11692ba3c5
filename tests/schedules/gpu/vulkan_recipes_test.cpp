// Every recipe of devices on Vulkan against the reference, on few groups each: Halide's code and
// the driver's arithmetic differ from OpenCL's, the schedules do not.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "compiler/ops/activations.h"
#include "compiler/ops/adam.h"
#include "compiler/ops/arithmetic.h"
#include "compiler/ops/average_pool.h"
#include "compiler/ops/conv2d.h"
#include "compiler/ops/dense.h"
#include "compiler/ops/dropout.h"
#include "compiler/ops/max_pool.h"
#include "compiler/ops/moments.h"
#include "compiler/ops/reduce.h"
#include "compiler/ops/smooth_activations.h"
#include "compiler/ops/softmax_cross_entropy.h"
#include "schedules/gpu/product/block_product.h"
#include "schedules/library.h"
#include "tests/schedules/recipe_support.h"

namespace emulsion::test {
namespace {

struct Case {
    std::string recipe;
    Group group;
    RecipeCheck check = {};
};

using Cases = std::vector<Case>;

RecipeCheck tile(BlockTile tile, int parts = 0) {
    RecipeCheck check;
    check.tilings = {to_tiling(tile)};
    if (parts > 0) check.tilings[0].values.emplace_back("parts", parts);
    return check;
}

const BlockTile kSquare{.bm = 64, .bp = 64, .tm = 8, .tp = 8, .bk = 8};
const BlockTile kOdd{.bm = 32, .bp = 56, .tm = 4, .tp = 7, .bk = 4};

constexpr int kBatch = 3;

// A convolution of a map of 9 x 7.
struct Layer {
    int64_t inputs, outputs, kernel, stride = 1, groups = 1;

    TensorType x() const { return batched_type({inputs, 9, 7}); }
    TensorType y() const {
        const int64_t covered = kernel - 2 * (kernel / 2);
        return batched_type({outputs, (9 - covered) / stride + 1, (7 - covered) / stride + 1});
    }
    TensorType filter() const { return plain_type({outputs, inputs / groups, kernel, kernel}); }
    template <class Op>
    std::shared_ptr<Op> op() const {
        auto op = std::make_shared<Op>();
        op->stride = {stride, stride};
        op->padding = {kernel / 2, kernel / 2, kernel / 2, kernel / 2};
        op->groups = groups;
        return op;
    }
    Group forward() const { return group_of(op<Conv2d>(), {x(), filter()}, kBatch); }
    Group data_gradient() const {
        auto backward = op<Conv2dBackwardData>();
        backward->input = {9, 7};
        return group_of(backward, {y(), filter()}, kBatch);
    }
    Group filter_gradient() const {
        auto backward = op<Conv2dBackwardFilter>();
        backward->kernel = {kernel, kernel};
        return group_of(backward, {x(), y()}, kBatch);
    }
};

Cases products() {
    const Layer plain{8, 20, 3}, odd{13, 17, 5, 2}, strided{16, 20, 3, 2};
    const Group fused = make_group(kBatch, [&](GraphBuilder& builder) {
        const Value x = add_operand(builder, "x", plain.x());
        const Value w = add_operand(builder, "w", plain.filter());
        const Value other = add_operand(builder, "other", plain.y());
        const Value active = builder.add(std::make_shared<Relu>(), {x}, "v0");
        const Value y = builder.add(plain.op<Conv2d>(), {active, w}, "v1");
        const Value sum = builder.add(std::make_shared<Add>(), {y, other}, "v2");
        const Value last = builder.add(std::make_shared<Relu>(), {sum}, "v3");
        return std::vector<Value>{sum, last, active};
    });
    const Group summed = make_group(kBatch, [&](GraphBuilder& builder) {
        const Value x = add_operand(builder, "x", batched_type({8, 8, 4}));
        const Value w = add_operand(builder, "w", plain.filter());
        const Value y = builder.add(plain.op<Conv2d>(), {x, w}, "v0");
        const Value sums = builder.add(std::make_shared<PartialMoments>(), {y}, "v1");
        return std::vector<Value>{y, sums, {sums.node, 1}, {sums.node, 2}};
    });
    RecipeCheck winograd = tile(kSquare), winograd_parts = tile(kSquare, 1);
    winograd.tolerance = winograd_parts.tolerance = 1e-5;
    return {{"gpu_product", fused, tile(kSquare)},
            {"gpu_product", summed, tile(kSquare)},
            {"gpu_product", odd.forward(), tile(kOdd)},
            {"gpu_product", odd.data_gradient(), tile(kOdd)},
            {"gpu_strided_gradient", strided.data_gradient(), tile(kSquare)},
            {"gpu_split_product",
             group_of(std::make_shared<Dense>(), {batched_type({100}), plain_type({33, 100})}, 5),
             tile(kOdd, 3)},
            {"gpu_filter_gradient", plain.filter_gradient(), tile(kSquare, 1)},
            {"gpu_filter_gradient", odd.filter_gradient(), tile(kOdd, 2)},
            {"gpu_winograd", Layer{16, 20, 3}.forward(), winograd},
            {"gpu_winograd_filter_gradient", Layer{12, 16, 3}.filter_gradient(), winograd_parts},
            {"gpu_grouped_product", Layer{24, 40, 3, 1, 4}.forward()},
            {"gpu_grouped_product", Layer{32, 32, 3, 2, 8}.data_gradient()},
            {"gpu_grouped_filter_gradient", Layer{32, 32, 3, 2, 8}.filter_gradient()},
            {"gpu_depthwise", Layer{20, 20, 3, 1, 20}.forward()},
            {"gpu_depthwise", Layer{5, 5, 3, 2, 5}.data_gradient()},
            {"gpu_depthwise_filter_gradient", Layer{19, 19, 3, 2, 19}.filter_gradient()}};
}

Cases sums() {
    auto of_samples = std::make_shared<Reduce>(), of_maps = std::make_shared<Reduce>();
    of_samples->keep_channels = of_samples->mean = true;
    of_maps->keep_samples = of_maps->keep_channels = of_maps->mean = true;
    const TensorType map = batched_type({20, 9, 11}), odd = batched_type({33, 4, 5});
    const TensorType scores = batched_type({10}), labels = batched_type({}, ElementType::i32);
    RecipeCheck large;
    large.classes = 10;
    large.adjust = [](reference::Sources& sources, int64_t) {
        for (double& value : sources.at("a0").values) value = static_cast<float>(300 * value);
    };
    RecipeCheck long_rows;
    long_rows.classes = 129;
    return {{"gpu_sums", group_of(of_samples, {map}, kBatch)},
            {"gpu_sample_sums", group_of(of_maps, {odd}, kBatch)},
            {"gpu_sample_sums", group_of(std::make_shared<PartialMoments>(), {map}, kBatch)},
            {"gpu_softmax",
             group_of(std::make_shared<SoftmaxCrossEntropy>(), {scores, labels}, kBatch), large},
            {"gpu_softmax",
             group_of(std::make_shared<SoftmaxCrossEntropyBackward>(),
                      {batched_type({129}), labels, batched_type({})}, kBatch),
             long_rows}};
}

// Pools of windows that overlap and leave the map.
template <class Op>
std::shared_ptr<Op> pool() {
    auto op = std::make_shared<Op>();
    op->window = {3, 3};
    op->stride = {2, 2};
    op->padding = {1, 1, 1, 1};
    return op;
}

// Each activation of x, and x with some of it dropped.
Group activations(const TensorType& type) {
    return make_group(kBatch, [&](GraphBuilder& b) -> std::vector<Value> {
        const Value x = add_operand(b, "x", type);
        std::vector<Value> dropout = {x};
        for (const char* name : {"seed_low", "seed_high", "step_low", "step_high"})
            dropout.push_back(add_operand(b, name, plain_type({}, ElementType::i32)));
        return {b.add(std::make_shared<Tanh>(), {x}, "v0"),
                b.add(std::make_shared<Sigmoid>(), {x}, "v1"),
                b.add(std::make_shared<Dropout>(), dropout, "v2"),
                b.add(std::make_shared<Softplus>(), {x}, "v3")};
    });
}

// Of windows that lie in the map, whichever tap won.
Group max_pool_gradient(int64_t channels) {
    auto op = std::make_shared<MaxPoolBackward>();
    op->window = {3, 3};
    op->stride = {2, 2};
    op->input = {9, 7};
    return group_of(
        op, {batched_type({channels, 4, 3}), batched_type({channels, 4, 3}, ElementType::u8)},
        kBatch);
}

// The cells that won another map's pool.
Group chosen_cells(const TensorType& map) {
    auto op = std::make_shared<MaxPoolWinners>();
    op->window = {3, 3};
    op->stride = {2, 2};
    TensorType winners = op->result_type(map);
    winners.element = ElementType::u8;
    return group_of(op, {map, winners}, kBatch);
}

Cases maps() {
    const TensorType map = batched_type({20, 7, 6}), odd = batched_type({5, 7, 6});
    RecipeCheck separated;
    separated.fills["a0"] = Fill::separated;
    RecipeCheck taps, moments;
    taps.adjust = [](reference::Sources& sources, int64_t) {
        double tap = 0;
        for (double& value : sources.at("a1").values) value = tap = tap < 8 ? tap + 1 : 0;
    };
    moments.fills["a3"] = moments.fills["a4"] = moments.fills["a5"] = Fill::positive;
    const TensorType w = plain_type({20, 3, 5}), scalar = plain_type({});
    return {{"gpu_map", activations(map)},
            {"gpu_map", activations(odd)},
            {"gpu_pool", max_pool_gradient(20), taps},
            {"gpu_pool", max_pool_gradient(5), taps},
            {"gpu_map", chosen_cells(map), taps},
            {"gpu_map",
             group_of(std::make_shared<AdamUpdate>(), {w, w, w, w, scalar, scalar, scalar}, 1),
             moments},
            {"gpu_pool", group_of(pool<MaxPool>(), {map}, kBatch), separated},
            {"gpu_pool", group_of(pool<MaxPool>(), {odd}, kBatch), separated},
            {"gpu_pool", group_of(pool<AveragePool>(), {odd}, kBatch)},
            {"gpu_default", Layer{5, 6, 3}.forward()},
            {"gpu_default", group_of(std::make_shared<PartialMoments>(), {odd}, kBatch)}};
}

void check(Cases cases) {
    if (!has_driver(isa_vulkan())) GTEST_SKIP() << "no driver of Vulkan";
    for (Case& c : cases) {
        c.check.device = &isa_vulkan();
        c.check.all_tilings = false;
        check_recipe(c.recipe, c.group, c.check);
    }
}

TEST(VulkanRecipes, Products) { check(products()); }
TEST(VulkanRecipes, Sums) { check(sums()); }
TEST(VulkanRecipes, Maps) { check(maps()); }

TEST(VulkanRecipes, EachRecipeOfDevicesHasACase) {
    std::set<std::string> checked, all;
    for (const Cases& cases : {products(), sums(), maps()}) {
        for (const Case& c : cases) checked.insert(c.recipe);
    }
    for (const auto& recipe : make_library()) {
        if (recipe->is_for_devices()) all.insert(std::string(recipe->name()));
    }
    EXPECT_EQ(checked, all);
}

}  // namespace
}  // namespace emulsion::test
