// The recipe `reduction`: every reduction over odd shapes, its accuracy, prologue and epilogue.
#include <gtest/gtest.h>

#include <cmath>

#include "compiler/ops/activations.h"
#include "compiler/ops/arithmetic.h"
#include "compiler/ops/batch_norm_parts.h"
#include "compiler/ops/group_norm.h"
#include "compiler/ops/moments.h"
#include "compiler/ops/reduce.h"
#include "compiler/ops/sum_squares.h"
#include "tests/schedules/recipe_support.h"

namespace emulsion::test {
namespace {

using reference::Tensor;

const std::vector<TensorType> kMaps = {
    batched_type({1, 5, 7}),  batched_type({5, 3, 4}),  batched_type({16, 7, 7}),
    batched_type({17, 1, 1}), batched_type({48, 6, 8}), batched_type({80, 4, 2}),
    batched_type({7, 13}),    batched_type({33}),       batched_type({64, 37, 41}),
    batched_type({96}),
};

std::shared_ptr<Reduce> reduce(bool keep_samples, bool keep_channels, bool mean) {
    auto op = std::make_shared<Reduce>();
    op->keep_samples = keep_samples;
    op->keep_channels = keep_channels;
    op->mean = mean;
    return op;
}

TEST(ReductionRecipe, Reduce) {
    for (const TensorType& type : kMaps) {
        for (int kept = 0; kept < 4; kept++) {
            const auto op = reduce(kept % 2 == 1, kept >= 2, kept % 3 == 0);
            RecipeCheck check{.tolerance = 2e-5};
            check.all_isas = type.shape[0] == 5 || type.shape[0] == 64;
            check_recipe("reduction", group_of(op, {type}, 21), check);
        }
    }
    for (bool keep : {false, true})
        check_recipe("reduction", group_of(reduce(keep, false, true), {batched_type({})}, 40));
}

// Rows of few channels are summed as whole vectors, with a prologue of the same shape too; not
// beside a value of each channel.
TEST(ReductionRecipe, ReduceOfFewChannels) {
    for (const TensorType& type : {batched_type({3, 5, 16}), batched_type({3, 64, 64}),
                                   batched_type({2, 8}), batched_type({5, 3, 2, 16})}) {
        for (bool keep : {false, true}) {
            RecipeCheck check{.tolerance = 2e-5};
            const auto op = reduce(keep, false, true);
            check_recipe("reduction", group_of(op, {type}, 5), check);
            for (const TensorType& other : {type, plain_type({type.shape[0]})}) {
                check_recipe("reduction",
                             make_group(5,
                                        [&](GraphBuilder& b) -> std::vector<Value> {
                                            const Value x = add_operand(b, "a0", type),
                                                        y = add_operand(b, "a1", other);
                                            const Value z =
                                                b.add(std::make_shared<Subtract>(), {x, y}, "v0");
                                            return {b.add(op, {z}, "v1")};
                                        }),
                             check);
            }
        }
    }
}

TEST(ReductionRecipe, ReduceOfPlainTensors) {
    for (const TensorType& type :
         {plain_type({}), plain_type({5}), plain_type({16}), plain_type({1000}),
          plain_type({10, 21}), plain_type({40, 1037}), plain_type({17, 5, 3, 3}),
          plain_type({48, 32, 3, 5}), plain_type({33, 300, 1, 2})}) {
        for (int kept = 0; kept < 4; kept++) {
            if (kept >= 2 && type.shape.empty()) continue;
            const auto op = reduce(false, kept >= 2, kept % 2 == 0);
            RecipeCheck check{.tolerance = 2e-5};
            check.all_isas = type.shape.size() != 2;
            check_recipe("reduction", group_of(op, {type}, 1), check);
        }
    }
}

TEST(ReductionRecipe, SumSquares) {
    for (const TensorType& type : {plain_type({}), plain_type({5}), plain_type({40, 1037}),
                                   plain_type({17, 5, 3, 3}), plain_type({48, 32, 3, 5})}) {
        RecipeCheck check{.tolerance = 2e-5};
        check.all_isas = type.shape.size() == 4;
        check_recipe("reduction", group_of(std::make_shared<SumSquares>(), {type}, 1), check);
    }
}

TEST(ReductionRecipe, ReduceAxes) {
    struct Case {
        TensorType type;
        std::vector<int64_t> axes;
        int batch = 5;
    };
    const TensorType small = batched_type({5, 3, 4}), large = batched_type({48, 37, 21}),
                     odd = batched_type({17, 9, 13});
    std::vector<Case> cases = {
        {batched_type({7}), {0}},
        {batched_type({100}), {0}, 700},
        {batched_type({18, 5}), {1}},
        {batched_type({18, 5}), {0}},
        {batched_type({3, 2, 4, 5}), {0, 2}},
        {batched_type({20, 3, 4, 5}), {1, 3}},
        {batched_type({1, 60, 50}), {1}},
        {batched_type({1, 60, 50}), {2}, 20},
        {batched_type({64, 1, 1}), {1, 2}},
    };
    for (const TensorType& type : {small, odd, large}) {
        for (const std::vector<int64_t>& axes :
             std::vector<std::vector<int64_t>>{{0}, {1}, {2}, {0, 1}, {0, 2}, {1, 2}, {0, 1, 2}})
            cases.push_back({type, axes, type == large ? 3 : 5});
    }
    bool mean = false;
    for (const Case& c : cases) {
        const auto op = std::make_shared<ReduceAxes>();
        op->axes = c.axes;
        op->mean = mean = !mean;
        RecipeCheck check{.tolerance = 2e-5};
        check.all_isas = c.type != large;
        check_recipe("reduction", group_of(op, {c.type}, c.batch), check);
    }
}

// The sums of a filter: its first axis lies in lanes and blocks.
TEST(ReductionRecipe, ReduceAxesOfPlainTensors) {
    struct Case {
        TensorType type;
        std::vector<std::vector<int64_t>> axes;
    };
    bool mean = false;
    for (const Case& c : std::vector<Case>{
             {plain_type({37}), {{0}}},
             {plain_type({20, 7}), {{0}, {1}, {0, 1}}},
             {plain_type({300, 170}), {{0}, {1}}},
             {plain_type({17, 5, 3, 2}),
              {{0}, {1}, {2}, {3}, {0, 1}, {1, 2, 3}, {0, 2}, {0, 1, 2, 3}}},
         }) {
        for (const std::vector<int64_t>& axes : c.axes) {
            const auto op = std::make_shared<ReduceAxes>();
            op->axes = axes;
            op->mean = mean = !mean;
            check_recipe("reduction", group_of(op, {c.type}, 1), {.tolerance = 2e-5});
        }
    }
}

// Squeeze and excite: the mean of each map behind an activation, and a factor of its own.
TEST(ReductionRecipe, AxesWithPrologueAndEpilogue) {
    for (const std::vector<int64_t>& axes :
         std::vector<std::vector<int64_t>>{{0}, {1}, {1, 2}, {0, 2}}) {
        for (const TensorType& type : {batched_type({5, 3, 4}), batched_type({32, 20, 18})}) {
            const Group group = make_group(7, [&](GraphBuilder& b) -> std::vector<Value> {
                const Value x = add_operand(b, "a0", type),
                            bias = add_operand(b, "a1", plain_type({type.shape[0]}));
                const Value v0 = b.add(std::make_shared<Add>(), {x, bias}, "v0");
                const Value v1 = b.add(std::make_shared<Sigmoid>(), {v0}, "v1");
                const auto op = std::make_shared<ReduceAxes>();
                op->axes = axes;
                op->mean = true;
                const Value v2 = b.add(op, {v1}, "v2");
                const Value factor = add_operand(b, "a2", b.type(v2));
                return {v2, b.add(std::make_shared<Multiply>(), {v2, factor}, "v3")};
            });
            check_recipe("reduction", group);
        }
    }
}

// The sum of squares of a filter, weighed and added to another number.
TEST(ReductionRecipe, SquaresOfAFilter) {
    const Group group = make_group(1, [](GraphBuilder& b) -> std::vector<Value> {
        const Value w = add_operand(b, "a0", plain_type({33, 20, 3, 3}));
        const Value other = add_operand(b, "a1", plain_type({}));
        const Value squares = b.add(std::make_shared<Multiply>(), {w, w}, "v0");
        const Value sum = b.add(reduce(false, false, false), {squares}, "v1");
        const Value weighed = b.add(std::make_shared<Scale>(0.01), {sum}, "v2");
        return {b.add(std::make_shared<Add>(), {weighed, other}, "v3")};
    });
    check_recipe("reduction", group);
}

TEST(ReductionRecipe, PartialMoments) {
    for (const TensorType& type : kMaps) {
        check_recipe("reduction", group_of(std::make_shared<PartialMoments>(), {type}, 4),
                     {.tolerance = 2e-5});
    }
}

TEST(ReductionRecipe, PartialDots) {
    for (const TensorType& type : kMaps) {
        const TensorType channels = plain_type({type.shape[0]});
        check_recipe("reduction",
                     group_of(std::make_shared<PartialDots>(), {type, type, channels}, 4),
                     {.tolerance = 2e-5});
    }
}

TEST(ReductionRecipe, PartialDotsAroundMeansOfSamples) {
    const TensorType type = batched_type({5, 9, 4}), numbers = batched_type({5});
    check_recipe("reduction", group_of(std::make_shared<PartialDots>(), {type, type, numbers}, 4),
                 {.tolerance = 2e-5});
}

// Small and large tables, with what follows them in the same kernel.
TEST(ReductionRecipe, SumsOfGroups) {
    for (const auto& [channels, groups] :
         std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {18, 3}, {38, 2}, {64, 1}}) {
        auto statistics = std::make_shared<GroupStatistics>();
        statistics->groups = groups;
        statistics->width = 5, statistics->height = 11;
        const TensorType strips = strip_type(batched_type({channels, 11, 5}));
        RecipeCheck check{.tolerance = 2e-5};
        check.fills["a2"] = Fill::positive;
        const int batch = channels == 64 ? 210 : 7;
        check_recipe("reduction",
                     make_group(batch,
                                [&](GraphBuilder& b) -> std::vector<Value> {
                                    std::vector<Value> inputs;
                                    for (const char* name : {"a0", "a1", "a2"})
                                        inputs.push_back(add_operand(b, name, strips));
                                    const Value gamma =
                                        add_operand(b, "a3", plain_type({channels}));
                                    const Value mean = b.add(statistics, inputs, "v0");
                                    return {mean, b.add(std::make_shared<Multiply>(),
                                                        {{mean.node, 1}, gamma}, "v1")};
                                }),
                     check);
        auto coefficients = std::make_shared<GroupCoefficients>();
        coefficients->groups = groups;
        coefficients->count = 55;
        check_recipe(
            "reduction",
            group_of(coefficients,
                     {plain_type({channels}), batched_type({channels}), strips, strips}, batch),
            {.tolerance = 2e-5});
    }
}

TEST(ReductionRecipe, GroupsOfFeatures) {
    for (const auto& [features, groups] :
         std::vector<std::pair<int64_t, int64_t>>{{5, 1}, {34, 2}, {160, 1}, {512, 2}, {264, 1}}) {
        auto statistics = std::make_shared<GroupStatistics>();
        statistics->groups = groups;
        const TensorType type = batched_type({features});
        check_recipe("reduction", group_of(statistics, {type}, 70), {.tolerance = 2e-5});
        auto coefficients = std::make_shared<GroupCoefficients>();
        coefficients->groups = groups;
        check_recipe("reduction",
                     group_of(coefficients, {plain_type({features}), type, type, type, type}, 70),
                     {.tolerance = 2e-5});
    }
}

// Of several vectors side by side, strip by strip.
TEST(ReductionRecipe, SumsOfManyChannels) {
    const TensorType strips = batched_type({320, 1, 3}), numbers = batched_type({320});
    auto op = std::make_shared<GroupCoefficients>();
    op->count = 12;
    check_recipe("reduction", group_of(op, {plain_type({320}), numbers, strips, strips}, 3),
                 {.tolerance = 2e-5});
}

TEST(ReductionRecipe, MergeMoments) {
    auto op = std::make_shared<MergeMoments>();
    for (int64_t height : {1, 8, 11}) {
        op->width = 5, op->height = height;
        for (int64_t channels : {1, 5, 16, 17, 80}) {
            RecipeCheck check{.tolerance = 2e-5};
            check.fills["a2"] = Fill::positive;
            const TensorType type = strip_type(batched_type({channels, height, 5}));
            check_recipe("reduction", group_of(op, {type, type, type}, 37), check);
        }
    }
}

TEST(ReductionRecipe, PrologueAndEpilogue) {
    for (const TensorType& type :
         {batched_type({5, 3, 4}), batched_type({32, 6, 6}), batched_type({17})}) {
        for (int kept = 0; kept < 4; kept++) {
            const Group group = make_group(5, [&](GraphBuilder& b) -> std::vector<Value> {
                const Value x = add_operand(b, "a0", type),
                            bias = add_operand(b, "a1", plain_type({type.shape[0]}));
                const Value v0 = b.add(std::make_shared<Add>(), {x, bias}, "v0");
                const Value v1 = b.add(std::make_shared<Sigmoid>(), {v0}, "v1");
                const Value v2 = b.add(reduce(kept % 2 == 1, kept >= 2, true), {v1}, "v2");
                return {v2, b.add(std::make_shared<Scale>(3), {v2}, "v3")};
            });
            check_recipe("reduction", group);
        }
    }
}

TEST(ReductionRecipe, CoefficientsBehindASum) {
    const Group group = make_group(9, [](GraphBuilder& b) -> std::vector<Value> {
        const TensorType c = plain_type({20});
        const Value x = add_operand(b, "a0", batched_type({20}));
        const Value gamma = add_operand(b, "a1", c), variance = add_operand(b, "a2", c),
                    sum = add_operand(b, "a3", c);
        const Value dot = b.add(reduce(false, true, false), {x}, "v0");
        auto op = std::make_shared<BatchNormCoefficients>();
        op->count = 6;
        const Value v1 = b.add(op, {gamma, variance, sum, dot}, "v1");
        return {dot, v1, {v1.node, 1}, {v1.node, 2}, {v1.node, 3}};
    });
    RecipeCheck check;
    check.fills["a2"] = Fill::positive;
    check_recipe("reduction", group, check);
}

// Running statistics are written where the old ones are.
TEST(ReductionRecipe, ResultsInTheMemoryOfOperands) {
    for (const int64_t channels : {5, 16, 37}) {
        const Group group = make_group(4, [&](GraphBuilder& b) -> std::vector<Value> {
            auto op = std::make_shared<MergeMoments>();
            op->width = 5, op->height = 11;
            const TensorType strips = strip_type(batched_type({channels, 11, 5}));
            const Value pivots = add_operand(b, "a0", strips),
                        offsets = add_operand(b, "a1", strips),
                        squares = add_operand(b, "a2", strips);
            const Value mean = add_operand(b, "a3", plain_type({channels})),
                        variance = add_operand(b, "a4", plain_type({channels}));
            const Value v0 = b.add(op, {pivots, offsets, squares}, "v0");
            return {b.add(std::make_shared<Add>(), {mean, v0}, "v1"),
                    b.add(std::make_shared<Add>(), {variance, {v0.node, 1}}, "v2")};
        });
        const reference::Sources sources = random_sources(group, 4, {{"a2", Fill::positive}});
        const Recipe& recipe = recipe_named("reduction");
        EXPECT_TRUE(recipe.writes_in_place());
        for (const Isa* isa : runnable_isas()) {
            CompiledRecipe apart(group, recipe, {}, *isa), in_place(group, recipe, {}, *isa);
            in_place.place_result(0, "a3");
            in_place.place_result(1, "a4");
            EXPECT_TRUE(apart.run(sources, 4) == in_place.run(sources, 4))
                << isa->name << " " << channels;
        }
    }
}

Tensor run_reduction(const Group& group, const Isa& isa, const reference::Sources& sources,
                     int64_t samples) {
    const Recipe& recipe = recipe_named("reduction");
    return CompiledRecipe(group, recipe, recipe.tilings(group, isa)[0], isa)
        .run(sources, samples)[0];
}

TEST(ReductionRecipe,
     GlobalAverageOfALargeMap) {  // case P7, and the same with every value different
    for (int64_t channels : {1, 16}) {
        const Group group =
            group_of(reduce(true, true, true), {batched_type({channels, 512, 512})}, 1);
        Tensor x = reference::make_tensor(batched_type({channels, 512, 512}), 1);
        for (size_t i = 0; i < x.values.size(); i++) x.values[i] = i % 2 == 0 ? 1000 : 1000.25;
        for (const Isa* isa : runnable_isas()) {
            EXPECT_NEAR(run_reduction(group, *isa, {{"a0", x}}, 1).values[0], 1000.125, 1e-3)
                << isa->name;
        }
        for (size_t i = 0; i < x.values.size(); i++)
            x.values[i] = 1000 + std::fmod(0.618 * static_cast<double>(i), 1.0);
        x = reference::rounded(x);
        double mean = 0;
        for (size_t i = 0; i < 512 * 512; i++) mean += x.values[i] / (512 * 512);
        EXPECT_NEAR(run_reduction(group, isa_baseline(), {{"a0", x}}, 1).values[0], mean, 1e-3);
    }
}

TEST(ReductionRecipe, MomentsKeepTheirDigitsAtALargeMean) {  // mean 3000, deviation about 1
    const TensorType type = batched_type({16, 56, 56});
    const Group group = group_of(std::make_shared<PartialMoments>(), {type}, 2);
    reference::Sources sources = random_sources(group, 2);
    for (double& value : sources.at("a0").values) value += 3000;
    sources.at("a0") = reference::rounded(sources.at("a0"));
    const auto expected = reference::evaluate(PartialMoments(), {sources.at("a0")}, 2);
    const Recipe& recipe = recipe_named("reduction");
    for (const Isa* isa : runnable_isas()) {
        CompiledRecipe compiled(group, recipe, recipe.tilings(group, *isa)[0], *isa);
        const std::vector<Tensor> actual = compiled.run(sources, 2);
        for (size_t i = 0; i < actual[0].values.size(); i++) {
            EXPECT_EQ(actual[0].values[i], expected[0].values[i]);
            EXPECT_NEAR(actual[1].values[i], expected[1].values[i], 0.05);
            EXPECT_NEAR(actual[2].values[i] / expected[2].values[i], 1, 1e-4);
        }
    }
}

}  // namespace
}  // namespace emulsion::test
