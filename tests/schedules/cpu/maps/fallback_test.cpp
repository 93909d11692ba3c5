// The recipe `default`: plain definitions of anchors of every kind compile and are right.
#include <gtest/gtest.h>

#include "compiler/ops/activations.h"
#include "compiler/ops/average_pool.h"
#include "compiler/ops/batch_norm.h"
#include "compiler/ops/conv2d.h"
#include "compiler/ops/dense.h"
#include "compiler/ops/max_pool.h"
#include "compiler/ops/moments.h"
#include "compiler/ops/reduce.h"
#include "compiler/ops/softmax.h"
#include "compiler/ops/softmax_cross_entropy.h"
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

}  // namespace
}  // namespace emulsion::test
