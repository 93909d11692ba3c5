// The recipe `default`: plain definitions of anchors of every kind compile and are right.
#include <gtest/gtest.h>

#include <algorithm>

#include "compiler/ops/activations.h"
#include "compiler/ops/average_pool.h"
#include "compiler/ops/batch_norm.h"
#include "compiler/ops/conv2d.h"
#include "compiler/ops/dense.h"
#include "compiler/ops/max_pool.h"
#include "compiler/ops/moments.h"
#include "compiler/ops/reduce.h"
#include "compiler/ops/rotate_filter.h"
#include "compiler/ops/softmax.h"
#include "compiler/ops/softmax_cross_entropy.h"
#include "compiler/ops/winograd.h"
#include "compiler/recipe/kernel_context.h"
#include "schedules/library.h"
#include "tests/schedules/recipe_support.h"

namespace emulsion::test {
namespace {

const TensorType kLabels = batched_type({}, ElementType::i32);

TEST(DefaultRecipe, Convolutions) {
    auto forward = std::make_shared<Conv2d>();
    forward->stride = {2, 1};
    forward->padding = {1, 0, 1, 1};
    const TensorType x = batched_type({5, 7, 6}), w = plain_type({17, 5, 3, 3});
    const TensorType y = forward->infer({{x, w}})[0];
    check_recipe("default", group_of(forward, {x, w}, 3));
    auto data = std::make_shared<Conv2dBackwardData>();
    data->stride = forward->stride;
    data->padding = forward->padding;
    data->input = {7, 6};
    check_recipe("default", group_of(data, {y, w}, 3));
    auto filter = std::make_shared<Conv2dBackwardFilter>();
    filter->stride = forward->stride;
    filter->padding = forward->padding;
    filter->kernel = {3, 3};
    check_recipe("default", group_of(filter, {x, y}, 3));
}

// Two groups of five channels and three filters, and each channel with two filters of its own.
TEST(DefaultRecipe, GroupedConvolutions) {
    for (const auto& [channels, filters, groups] :
         {std::tuple(10, 6, 2), std::tuple(9, 18, 9), std::tuple(17, 17, 17)}) {
        ConvAttributes attributes;
        attributes.stride = {2, 1};
        attributes.padding = {1, 0, 1, 1};
        attributes.groups = groups;
        Conv2d forward;
        static_cast<ConvAttributes&>(forward) = attributes;
        const TensorType x = batched_type({channels, 7, 6});
        const TensorType w = plain_type({filters, channels / groups, 3, 3});
        const TensorType y = forward.infer({{x, w}})[0];
        check_recipe("default", group_of(std::make_shared<Conv2d>(forward), {x, w}, 3));
        auto data = std::make_shared<Conv2dBackwardData>();
        static_cast<ConvAttributes&>(*data) = attributes;
        data->input = {7, 6};
        check_recipe("default", group_of(data, {y, w}, 3));
        auto filter = std::make_shared<Conv2dBackwardFilter>();
        static_cast<ConvAttributes&>(*filter) = attributes;
        filter->kernel = {3, 3};
        check_recipe("default", group_of(filter, {x, y}, 3));
        check_recipe("default", group_of(std::make_shared<RotateFilter>(groups), {w}, 3));
    }
}

// No other recipe of processors knows groups across the blocks of channels; those of devices take
// any groups.
TEST(DefaultRecipe, AloneTakesGroupsAcrossBlocks) {
    ConvAttributes attributes;
    attributes.padding = {1, 1, 1, 1};
    attributes.groups = 2;
    const TensorType map = batched_type({48, 8, 8}), w = plain_type({48, 24, 3, 3});
    auto forward = std::make_shared<Conv2d>();
    static_cast<ConvAttributes&>(*forward) = attributes;
    auto data = std::make_shared<Conv2dBackwardData>();
    static_cast<ConvAttributes&>(*data) = attributes;
    data->input = {8, 8};
    data->rotated = true;
    auto filter = std::make_shared<Conv2dBackwardFilter>();
    static_cast<ConvAttributes&>(*filter) = attributes;
    filter->kernel = {3, 3};
    const RecipeLibrary library = make_library();
    for (const Group& group : {group_of(forward, {map, w}, 16), group_of(data, {map, w}, 16),
                               group_of(filter, {map, map}, 16)}) {
        for (const Isa* isa : {&isa_baseline(), &isa_avx2(), &isa_avx512()}) {
            for (const auto& recipe : library) {
                if (!can_run(*recipe, group, *isa, false)) continue;
                EXPECT_EQ(recipe->name(), "default");
            }
        }
        for (const Isa* isa : {&isa_opencl(), &isa_cuda(), &isa_vulkan()}) {
            EXPECT_TRUE(std::any_of(library.begin(), library.end(), [&](const auto& recipe) {
                return recipe->name() != "gpu_default" && can_run(*recipe, group, *isa, false);
            }));
        }
    }
}

TEST(DefaultRecipe, Dense) {
    const TensorType x = batched_type({21}), w = plain_type({10, 21}), y = batched_type({10});
    check_recipe("default", group_of(std::make_shared<Dense>(), {x, w}, 3));
    check_recipe("default", group_of(std::make_shared<DenseBackwardData>(), {y, w}, 3));
    check_recipe("default", group_of(std::make_shared<DenseBackwardWeights>(), {x, y}, 3));
}

TEST(DefaultRecipe, Rest) {
    auto pool = std::make_shared<AveragePool>();
    pool->window = {5, 5};
    check_recipe("default", group_of(pool, {batched_type({20, 6, 6})}, 3));
    check_recipe("default",
                 group_of(std::make_shared<PartialMoments>(), {batched_type({20, 3, 4})}, 3));
    check_recipe("default", group_of(std::make_shared<Softmax>(), {batched_type({10})}, 3));
    RecipeCheck check;
    check.classes = 10;
    check_recipe(
        "default",
        group_of(std::make_shared<SoftmaxCrossEntropy>(), {batched_type({10}), kLabels}, 3), check);
    auto sum = std::make_shared<Reduce>();
    check_recipe("default", group_of(sum, {plain_type({17, 5, 3, 3})}, 1), {.tolerance = 2e-5});
    sum->keep_channels = true;
    check_recipe("default", group_of(sum, {plain_type({17, 5, 3, 3})}, 1), {.tolerance = 2e-5});
}

TEST(DefaultRecipe, ResultsOfSeveralShapes) {
    const TensorType c = plain_type({20});
    RecipeCheck check;
    check.fills["a4"] = Fill::positive;
    check_recipe("default",
                 group_of(std::make_shared<BatchNorm>(), {batched_type({20, 3, 4}), c, c, c, c}, 3),
                 check);
}

TEST(DefaultRecipe, Epilogue) {
    const Group group = make_group(3, [](GraphBuilder& b) -> std::vector<Value> {
        const Value x = add_operand(b, "a0", batched_type({21})),
                    w = add_operand(b, "a1", plain_type({10, 21}));
        const Value v0 = b.add(std::make_shared<Dense>(), {x, w}, "v0");
        return {v0, b.add(std::make_shared<Tanh>(), {v0}, "v1")};
    });
    check_recipe("default", group);
}

RecipeCheck loose() {
    RecipeCheck check;
    check.tolerance = 2e-5;
    check.all_isas = false;
    return check;
}

TEST(DefaultRecipe, Sums) {
    for (int kept = 0; kept < 4; kept++) {
        auto op = std::make_shared<Reduce>();
        op->keep_samples = kept % 2 == 1;
        op->keep_channels = kept >= 2;
        op->mean = kept == 1 || kept == 2;
        for (const TensorType& type :
             {batched_type({20, 9, 11}), batched_type({1, 40, 40}), batched_type({33})})
            check_recipe("default", group_of(op, {type}, 5), loose());
    }
    const TensorType map = batched_type({20, 6, 5}), strips = strip_type(map);
    check_recipe("default",
                 group_of(std::make_shared<PartialDots>(), {map, map, plain_type({20})}, 3),
                 loose());
    auto merge = std::make_shared<MergeMoments>();
    merge->width = 5, merge->height = 6;
    RecipeCheck check = loose();
    check.fills["a2"] = Fill::positive;
    check_recipe("default", group_of(merge, {strips, strips, strips}, 3), check);
}

// A row's sums are made once a row, not once a vector of classes.
TEST(DefaultRecipe, LongRows) {
    for (int64_t classes : {300, 20000}) {
        check_recipe("default", group_of(std::make_shared<Softmax>(), {batched_type({classes})}, 3),
                     loose());
        RecipeCheck check = loose();
        check.classes = classes;
        check_recipe("default",
                     group_of(std::make_shared<SoftmaxCrossEntropyBackward>(),
                              {batched_type({classes}), kLabels, batched_type({})}, 3),
                     check);
    }
}

TEST(DefaultRecipe, Winograd) {
    RecipeCheck check = loose();
    check.all_isas = false;
    auto op = std::make_shared<WinogradConv2d>();
    op->tile = 2;
    op->padding = {1, 1, 1, 1};
    auto transform = std::make_shared<WinogradFilter>();
    transform->tile = 2;
    check_recipe("default", group_of(transform, {plain_type({16, 16, 3, 3})}, 1), check);
    check_recipe("default",
                 make_group(2,
                            [&](GraphBuilder& b) -> std::vector<Value> {
                                const Value x = add_operand(b, "a0", batched_type({16, 5, 6}));
                                const Value w = add_operand(b, "a1", plain_type({16, 16, 4, 4}));
                                return {b.add(op, {x, w}, "v0")};
                            }),
                 {.tolerance = 1e-4, .all_isas = false});
}

// Operands that are computed from others, copied sample by sample or once in all.
TEST(DefaultRecipe, Prologues) {
    for (const int64_t size : {6, 40}) {
        const Group group = make_group(3, [&](GraphBuilder& b) -> std::vector<Value> {
            auto conv = std::make_shared<Conv2d>();
            conv->padding = {1, 1, 1, 1};
            const Value x = add_operand(b, "a0", batched_type({5, size, size + 1}));
            const Value w = add_operand(b, "a1", plain_type({5, 20, 3, 3}));
            const Value v0 = b.add(std::make_shared<Tanh>(), {x}, "v0");
            const Value v1 = b.add(std::make_shared<RotateFilter>(), {w}, "v1");
            const Value v2 = b.add(conv, {v0, v1}, "v2");
            return {b.add(std::make_shared<Relu>(), {v2}, "v3")};
        });
        check_recipe("default", group, loose());
    }
}

// The lowered kernel of a group by `default`, as text.
std::string lowered(const Group& group) {
    KernelContext context(group, isa_avx512());
    std::vector<Halide::Func> outputs = recipe_named("default").build(context, {});
    context.constrain_outputs(outputs);
    const Halide::Target target(
        "x86-64-linux-no_runtime-user_context-no_asserts-no_bounds_query-sse41-avx-avx2-fma-f16c-"
        "avx512-avx512_skylake");
    std::ostringstream text;
    text << Halide::Pipeline(outputs).compile_to_module(context.arguments(), "kernel", target);
    return text.str();
}

// Every op of some size runs on vectors and in several threads.
TEST(DefaultRecipe, EveryOpIsVectorizedAndParallel) {
    auto conv = std::make_shared<Conv2d>();
    auto data = std::make_shared<Conv2dBackwardData>();
    data->input = {18, 18};
    auto filter = std::make_shared<Conv2dBackwardFilter>();
    filter->kernel = {3, 3};
    auto pool = std::make_shared<MaxPool>();
    auto reduce = std::make_shared<Reduce>();
    reduce->keep_channels = true;
    const TensorType x = batched_type({32, 18, 18}), y = batched_type({32, 16, 16}),
                     w = plain_type({32, 32, 3, 3}), c = plain_type({32}),
                     rows = batched_type({1000});
    const TensorType dense = plain_type({1000, 1000});
    const std::vector<Group> groups = {
        group_of(conv, {x, w}, 8),
        group_of(data, {y, w}, 8),
        group_of(filter, {x, y}, 8),
        group_of(pool, {y}, 64),
        group_of(std::make_shared<Dense>(), {rows, dense}, 64),
        group_of(std::make_shared<DenseBackwardData>(), {rows, dense}, 64),
        group_of(std::make_shared<DenseBackwardWeights>(), {rows, rows}, 64),
        group_of(std::make_shared<Softmax>(), {rows}, 64),
        group_of(std::make_shared<SoftmaxCrossEntropyBackward>(), {rows, kLabels, batched_type({})},
                 64),
        group_of(reduce, {x}, 64),
        group_of(std::make_shared<PartialMoments>(), {x}, 64),
        group_of(std::make_shared<PartialDots>(), {x, x, c}, 64),
        group_of(std::make_shared<BatchNorm>(), {x, c, c, c, c}, 64),
    };
    for (const Group& group : groups) {
        const std::string text = lowered(group);
        EXPECT_NE(text.find("halide_do_par_for"), std::string::npos) << group.signature();
        EXPECT_NE(text.find("ramp("), std::string::npos) << group.signature();
    }
}

}  // namespace
}  // namespace emulsion::test
