// The recipe `pointwise`: odd shapes, broadcasting, several results, results in the memory of
// operands.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "compiler/ops/activations.h"
#include "compiler/ops/adam.h"
#include "compiler/ops/arithmetic.h"
#include "compiler/ops/batch_norm_parts.h"
#include "compiler/ops/channel_sum.h"
#include "compiler/ops/concatenate.h"
#include "compiler/ops/dropout.h"
#include "compiler/ops/elementary.h"
#include "compiler/ops/expand.h"
#include "compiler/ops/extremes.h"
#include "compiler/ops/gaussian_noise.h"
#include "compiler/ops/rotate_filter.h"
#include "compiler/ops/sgd.h"
#include "compiler/ops/smooth_activations.h"
#include "compiler/ops/transpose.h"
#include "compiler/ops/unfactor.h"
#include "tests/schedules/recipe_support.h"

namespace emulsion::test {
namespace {

const TensorType kScalar = plain_type({});

// relu(x * scale + shift) + skip
Group residual(const TensorType& type, int batch) {
    return make_group(batch, [&](GraphBuilder& b) -> std::vector<Value> {
        const TensorType channels = plain_type({type.shape[0]});
        const Value x = add_operand(b, "a0", type), scale = add_operand(b, "a1", channels);
        const Value shift = add_operand(b, "a2", channels), skip = add_operand(b, "a3", type);
        const Value v0 = b.add(std::make_shared<ScaleShift>(), {x, scale, shift}, "v0");
        const Value v1 = b.add(std::make_shared<Relu>(), {v0}, "v1");
        return {b.add(std::make_shared<Add>(), {v1, skip}, "v2")};
    });
}

TEST(PointwiseRecipe, ChannelsOfEveryCount) {
    RecipeCheck check;
    check.all_tilings = check.all_isas = false;
    for (int64_t channels : {1, 3, 10, 16, 17, 33, 64}) {
        check_recipe("pointwise", residual(batched_type({channels, 5, 7}), 3), check);
        check_recipe("pointwise", residual(batched_type({channels}), 5), check);
    }
}

TEST(PointwiseRecipe, ManyTasks) {
    check_recipe("pointwise", residual(batched_type({16, 40, 41}), 3));  // cut along y
    check_recipe("pointwise", residual(batched_type({24, 7, 5}), 65));   // cut along n
    check_recipe("pointwise", group_of(std::make_shared<Negate>(), {batched_type({})}, 40000));
    check_recipe("pointwise", group_of(std::make_shared<Negate>(), {batched_type({50001})}, 2));
    check_recipe("pointwise",
                 group_of(std::make_shared<Relu>(), {batched_type({3, 101, 67})}, 4));  // flat
}

TEST(PointwiseRecipe, PlainTensors) {
    RecipeCheck check;
    check.all_tilings = false;
    for (const TensorType& type :
         {kScalar, plain_type({5}), plain_type({70000}), plain_type({17, 3}),
          plain_type({40, 3137}), plain_type({33, 17, 3, 3}), plain_type({128, 96, 3, 3})}) {
        check_recipe("pointwise", group_of(std::make_shared<SgdPlain>(), {type, type, kScalar}, 1),
                     check);
        auto sgd = std::make_shared<SgdUpdate>();
        sgd->nesterov = true;
        sgd->weight_decay = 0.01;
        check_recipe("pointwise", group_of(sgd, {type, type, type, kScalar}, 1), check);
    }
}

TEST(PointwiseRecipe, SeveralResults) {
    for (int64_t channels : {1, 10, 32}) {
        const TensorType type = batched_type({channels, 6, 5});
        check_recipe("pointwise", make_group(4, [&](GraphBuilder& b) -> std::vector<Value> {
                         const Value x = add_operand(b, "a0", type), y = add_operand(b, "a1", type);
                         const Value sum = b.add(std::make_shared<Add>(), {x, y}, "v0");
                         return {sum, b.add(std::make_shared<Tanh>(), {sum}, "v1"),
                                 b.add(std::make_shared<Multiply>(), {sum, x}, "v2")};
                     }));
    }
    auto adam = std::make_shared<AdamUpdate>();
    adam->bias_correction = false;
    const TensorType w = plain_type({17, 5, 3, 3});
    RecipeCheck check;
    check.fills["a3"] = Fill::positive;
    check_recipe("pointwise", group_of(adam, {w, w, w, w, kScalar, kScalar, kScalar}, 1), check);
}

TEST(PointwiseRecipe, Normalize) {
    RecipeCheck check;
    check.fills["a2"] = Fill::positive;
    for (int64_t channels : {1, 10, 16, 48}) {
        const TensorType c = plain_type({channels});
        check_recipe(
            "pointwise",
            group_of(std::make_shared<Normalize>(), {batched_type({channels, 9, 8}), c, c, c}, 5),
            check);
    }
}

TEST(PointwiseRecipe, RandomNumbersAndBroadcasts) {
    const TensorType word = plain_type({}, ElementType::i32);
    RecipeCheck check;
    check.classes = 100000;
    check_recipe("pointwise",
                 group_of(std::make_shared<Dropout>(),
                          {batched_type({10, 5, 5}), word, word, word, word}, 4),
                 check);
    check_recipe("pointwise",
                 group_of(std::make_shared<SpatialDropout>(),
                          {batched_type({10, 5, 5}), word, word, word, word}, 4),
                 check);
    check_recipe("pointwise",
                 group_of(std::make_shared<GaussianNoise>(),
                          {batched_type({10, 5, 5}), word, word, word, word}, 4),
                 check);
    auto expand = std::make_shared<Expand>();
    expand->shape = {10, 5, 3};
    check_recipe("pointwise", group_of(expand, {batched_type({10})}, 4));
    check_recipe("pointwise", group_of(expand, {batched_type({})}, 4));
}

// Every polynomial and every comparison, with the same bits on all instruction sets.
TEST(PointwiseRecipe, ElementaryFunctions) {
    using Ops = std::vector<std::shared_ptr<const Op>>;
    const TensorType type = batched_type({19, 5, 7});
    RecipeCheck check{.fills = {{"a0", Fill::positive}}, .all_tilings = false};
    const auto check_all = [&](const Ops& ops, size_t operands) {
        check_recipe(
            "pointwise",
            make_group(3,
                       [&](GraphBuilder& b) -> std::vector<Value> {
                           std::vector<Value> inputs, results;
                           for (size_t i = 0; i < operands; i++)
                               inputs.push_back(add_operand(b, "a" + std::to_string(i), type));
                           for (const auto& op : ops)
                               results.push_back(b.add(op, inputs, b.unique_name("v")));
                           return results;
                       }),
            check);
    };
    check_all({std::make_shared<Exp>(), std::make_shared<Log>(), std::make_shared<Sqrt>(),
               std::make_shared<Power>(-0.75), std::make_shared<Power>(0.3),
               std::make_shared<Reciprocal>(2)},
              1);
    check.fills["a0"] = Fill::normal;
    check_all(
        {std::make_shared<Elu>(), std::make_shared<Silu>(), std::make_shared<HardSigmoid>(),
         std::make_shared<HardSwish>(), std::make_shared<Softplus>(), std::make_shared<Gelu>(),
         std::make_shared<Gelu>(true), std::make_shared<Abs>(), std::make_shared<Clip>()},
        1);
    check_all({std::make_shared<EluBackward>(), std::make_shared<SiluBackward>(),
               std::make_shared<HardSigmoidBackward>(), std::make_shared<HardSwishBackward>(),
               std::make_shared<GeluBackward>(), std::make_shared<GeluBackward>(true),
               std::make_shared<Maximum>(), std::make_shared<Minimum>(), std::make_shared<Prelu>()},
              2);
}

TEST(PointwiseRecipe, SumsOfNeighbouringChannels) {
    RecipeCheck check;
    check.all_tilings = false;
    for (int64_t channels : {3, 33}) {
        const auto op = std::make_shared<ChannelSum>();
        op->after = 1;
        check_recipe("pointwise", group_of(op, {batched_type({channels, 5, 4})}, 3), check);
    }
}

TEST(PointwiseRecipe, MovesValues) {
    check_recipe("pointwise",
                 group_of(std::make_shared<RotateFilter>(), {plain_type({17, 5, 3, 2})}, 1));
    TensorType flat = batched_type({30});
    flat.factors = {5, 2, 3};
    check_recipe("pointwise", group_of(std::make_shared<Unfactor>(), {flat}, 3));
}

// Squares of whole vectors, with what is left beside them, and in tasks.
TEST(PointwiseRecipe, OrdersOfFeatures) {
    RecipeCheck check;
    check.all_tilings = check.all_isas = false;
    for (const std::vector<int64_t>& factors :
         std::vector<std::vector<int64_t>>{{1, 5, 4}, {19, 1, 1}, {16, 4, 4}, {37, 9, 5}}) {
        const int64_t count = factors[0] * factors[1] * factors[2];
        TensorType flat = batched_type({count});
        flat.factors = factors;
        auto factor = std::make_shared<Factor>();
        factor->factors = factors;
        for (int batch : {3, count > 1000 ? 40 : 5}) {
            check_recipe("pointwise", group_of(std::make_shared<Unfactor>(), {flat}, batch), check);
            check_recipe("pointwise", group_of(factor, {batched_type({count})}, batch), check);
        }
    }
}

// A parameter in plain order, which all samples of a map have added.
TEST(PointwiseRecipe, TurnedParameters) {
    RecipeCheck check;
    check.all_tilings = false;
    for (const std::vector<int64_t>& factors :
         std::vector<std::vector<int64_t>>{{5, 3, 2}, {16, 4, 4}, {37, 9, 5}, {64, 16, 16}}) {
        const int64_t count = factors[0] * factors[1] * factors[2];
        TensorType flat = batched_type({count});
        flat.factors = factors;
        auto expand = std::make_shared<Expand>();
        expand->shape = {count};
        auto factor = std::make_shared<Factor>();
        factor->factors = factors;
        for (int batch : {1, 3}) {
            check_recipe("pointwise",
                         make_group(batch,
                                    [&](GraphBuilder& b) -> std::vector<Value> {
                                        const Value x = add_operand(b, "a0", flat),
                                                    w = add_operand(b, "a1", plain_type({count})),
                                                    all = b.add(expand, {w}, "v0"),
                                                    map = b.add(factor, {all}, "v1");
                                        return {b.add(std::make_shared<Add>(), {x, map}, "v2")};
                                    }),
                         check);
        }
    }
}

// A cell becomes channels of a few cells, or the other way round, or neither; in tasks, and behind
// other work.
TEST(PointwiseRecipe, OrdersOfOtherMaps) {
    struct Case {
        std::vector<int64_t> from, to;
        int batch;
    };
    RecipeCheck check;
    check.all_tilings = false;
    for (const Case& c : std::vector<Case>{{{64, 3, 5}, {32, 6, 5}, 3},
                                           {{6, 4, 5}, {2, 12, 5}, 2},
                                           {{32, 6, 5}, {64, 3, 5}, 3},
                                           {{2, 12, 5}, {6, 4, 5}, 2},
                                           {{6, 4, 3}, {9, 2, 4}, 3},
                                           {{80, 30, 7}, {20, 60, 14}, 5},
                                           {{20, 60, 14}, {80, 30, 7}, 5}}) {
        check.all_isas = c.batch < 5;
        TensorType flat = batched_type({c.from[0] * c.from[1] * c.from[2]});
        flat.factors = c.from;
        auto factor = std::make_shared<Factor>();
        factor->factors = c.to;
        check_recipe("pointwise", group_of(factor, {flat}, c.batch), check);
        check_recipe("pointwise",
                     make_group(c.batch,
                                [&](GraphBuilder& b) -> std::vector<Value> {
                                    const Value x = add_operand(b, "a0", flat),
                                                k = add_operand(b, "a1", kScalar),
                                                y = b.add(std::make_shared<Relu>(), {x}, "v0"),
                                                z = b.add(factor, {y}, "v1");
                                    return {b.add(std::make_shared<Add>(), {z, k}, "v2")};
                                }),
                     check);
    }
}

// Rows of whole vectors are interleaved; others, and maps read beside the shuffled one, are not.
TEST(PointwiseRecipe, ShuffledChannels) {
    RecipeCheck check;
    check.all_tilings = false;
    struct Case {
        std::vector<int64_t> shape;
        int64_t groups;
        int batch;
    };
    for (const Case& c : std::vector<Case>{{{64, 3, 5}, 2, 3},
                                           {{96, 7}, 3, 2},
                                           {{128}, 8, 5},
                                           {{128, 17, 9}, 4, 3},
                                           {{32, 2, 2, 3}, 2, 2},
                                           {{24, 3, 5}, 4, 2},
                                           {{64, 3, 5}, 64, 2}}) {
        auto shuffle = std::make_shared<ChannelShuffle>();
        shuffle->groups = c.groups;
        const TensorType type = batched_type(c.shape);
        check_recipe("pointwise", group_of(shuffle, {type}, c.batch), check);
        check_recipe("pointwise",
                     make_group(c.batch,
                                [&](GraphBuilder& b) -> std::vector<Value> {
                                    const Value x = add_operand(b, "a0", type),
                                                y = add_operand(b, "a1", type),
                                                z = b.add(shuffle, {x}, "v0");
                                    return {b.add(std::make_shared<Add>(), {z, y}, "v1")};
                                }),
                     check);
    }
}

TEST(PointwiseRecipe, JoinedChannelsAndDrawnOnes) {
    RecipeCheck check;
    check.all_tilings = check.all_isas = false;
    auto join = std::make_shared<Concatenate>();
    check_recipe("pointwise",
                 group_of(join, {batched_type({20, 5, 7}), batched_type({44, 5, 7})}, 3), check);
    check_recipe("pointwise",
                 group_of(join, {batched_type({32, 40, 9}), batched_type({16, 40, 9})}, 4), check);
    const TensorType word = plain_type({}, ElementType::i32);
    for (const int64_t channels : {34, 64}) {
        const TensorType map = batched_type({channels, 30, 21});
        const std::vector<TensorType> operands = {map, word, word, word, word};
        const auto dropout = std::make_shared<SpatialDropout>();
        check_recipe("pointwise", group_of(dropout, operands, 4), check);
        check_recipe(
            "pointwise",
            make_group(4,
                       [&](GraphBuilder& b) -> std::vector<Value> {
                           std::vector<Value> in;
                           for (size_t i = 0; i < operands.size(); i++)
                               in.push_back(add_operand(b, fmt::format("a{}", i), operands[i]));
                           const Value y = b.add(dropout, in, "v0");
                           return {y, b.add(std::make_shared<Relu>(), {y}, "v1")};
                       }),
            check);
    }
}

// An update writes the weights and the momentum where the old ones are.
TEST(PointwiseRecipe, ResultsInTheMemoryOfOperands) {
    for (const Isa* isa : runnable_isas()) {
        for (const TensorType& type :
             {plain_type({37, 5, 3, 3}), plain_type({7}), plain_type({64, 1000})}) {
            auto op = std::make_shared<SgdUpdate>();
            op->weight_decay = 0.1;
            const Group group = group_of(op, {type, type, type, kScalar}, 1);
            const reference::Sources sources = random_sources(group, 1);
            const Recipe& recipe = recipe_named("pointwise");
            CompiledRecipe apart(group, recipe, recipe.tilings(group, *isa)[0], *isa);
            CompiledRecipe in_place(group, recipe, recipe.tilings(group, *isa)[0], *isa);
            in_place.place_result(0, "a0");
            in_place.place_result(1, "a2");
            EXPECT_TRUE(apart.run(sources, 1) == in_place.run(sources, 1))
                << isa->name << " " << to_string(type);
        }
    }
}

// Rows of few channels are walked whole where they are whole vectors. The results are where the
// operands are, of which each reads both.
TEST(PointwiseRecipe, SeveralResultsOfFewChannels) {
    for (const std::vector<int64_t>& shape : std::vector<std::vector<int64_t>>{
             {3, 5, 32}, {3, 70, 64}, {7, 16}, {2, 3, 2, 48}, {3, 20}}) {
        const TensorType type = batched_type(shape);
        const Group group = make_group(3, [&](GraphBuilder& b) -> std::vector<Value> {
            const Value x = add_operand(b, "a0", type), y = add_operand(b, "a1", type);
            return {b.add(std::make_shared<Subtract>(), {x, y}, "v0"),
                    b.add(std::make_shared<Multiply>(), {x, y}, "v1")};
        });
        check_recipe("pointwise", group);
        const reference::Sources sources = random_sources(group, 3);
        const Recipe& recipe = recipe_named("pointwise");
        for (const Isa* isa : runnable_isas()) {
            CompiledRecipe apart(group, recipe, recipe.tilings(group, *isa)[0], *isa);
            CompiledRecipe in_place(group, recipe, recipe.tilings(group, *isa)[0], *isa);
            in_place.place_result(0, "a0");
            in_place.place_result(1, "a1");
            EXPECT_TRUE(apart.run(sources, 3) == in_place.run(sources, 3))
                << isa->name << " " << to_string(type);
        }
    }
}

TEST(PointwiseRecipe, LeavesAnchorsAndMixedShapesToOthers) {
    const Recipe& recipe = recipe_named("pointwise");
    const Group mixed = make_group(2, [](GraphBuilder& b) -> std::vector<Value> {
        const Value x = add_operand(b, "a0", batched_type({4})),
                    y = add_operand(b, "a1", plain_type({4}));
        return {b.add(std::make_shared<Relu>(), {x}, "v0"),
                b.add(std::make_shared<Relu>(), {y}, "v1")};
    });
    EXPECT_FALSE(recipe.applies(mixed, isa_avx2()));
}

}  // namespace
}  // namespace emulsion::test
