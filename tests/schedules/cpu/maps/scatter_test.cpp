// Sums at indices, of each sample and of all, and the largest there.
#include <gtest/gtest.h>

#include "compiler/ops/deform_sample.h"
#include "compiler/ops/gather.h"
#include "compiler/ops/scatter_max.h"
#include "compiler/ops/scatter_sum.h"
#include "tests/schedules/recipe_support.h"

namespace emulsion::test {
namespace {

Group scatter(int64_t channels, int64_t places, int64_t columns, bool sum_samples, int batch) {
    auto op = std::make_shared<ScatterSum>();
    op->columns = columns;
    op->sum_samples = sum_samples;
    op->ignored = {2};
    return group_of(
        op, {batched_type({channels, places}), batched_type({places}, ElementType::i32)}, batch);
}

TEST(ScatterRecipe, AgreesWithTheReference) {
    check_recipe("scatter", scatter(17, 7, 5, false, 3), {.classes = 5});
    check_recipe("scatter", scatter(1, 1, 1, false, 1), {.classes = 1});
    check_recipe("scatter", scatter(35, 3, 6, true, 4), {.classes = 6});
}

// As many bytes as make several tasks.
TEST(ScatterRecipe, InParallel) {
    check_recipe("scatter", scatter(48, 20, 700, true, 3), {.classes = 700, .all_isas = false});
    check_recipe("scatter", scatter(40, 20, 300, false, 4), {.classes = 300, .all_isas = false});
}

TEST(ScatterRecipe, FindsTheLargest) {
    const auto group = [](int64_t channels, int64_t places, int64_t columns, int batch) {
        auto op = std::make_shared<ScatterMax>();
        op->columns = columns;
        op->ignored = {2};
        return group_of(
            op, {batched_type({channels, places}), batched_type({places}, ElementType::i32)},
            batch);
    };
    check_recipe("scatter", group(17, 23, 5, 3),
                 {.fills = {{"a0", Fill::separated}}, .classes = 5});
    check_recipe("scatter", group(1, 1, 1, 1), {.classes = 1});
    check_recipe("scatter", group(40, 20, 300, 4),
                 {.fills = {{"a0", Fill::separated}}, .classes = 300, .all_isas = false});
}

// Of inference, where nobody asks for the winners, with what each edge brings read on the way.
TEST(ScatterRecipe, FindsTheLargestOfGatheredColumns) {
    const Group group = make_group(3, [](GraphBuilder& builder) -> std::vector<Value> {
        const auto edges = batched_type({2, 9}, ElementType::i32);
        const Value x = add_operand(builder, "a0", batched_type({5, 4}));
        const Value list = add_operand(builder, "a1", edges);
        const Value sent = builder.add(std::make_shared<Gather>(), {x, list}, "v0");
        auto op = std::make_shared<ScatterMax>();
        op->columns = 4;
        op->row = 1;
        return {builder.add(op, {sent, list}, "v1")};
    });
    check_recipe("scatter", group, {.fills = {{"a0", Fill::separated}}, .classes = 4});
}

TEST(ScatterRecipe, AddsToTheCellsAroundAPlace) {
    auto op = std::make_shared<DeformSampleBackwardData>();
    op->kernel = {2, 3};
    op->padding = {0, 0, 1, 1};
    op->input = {3, 4};
    const auto group = [&](int64_t channels, int batch) {
        return group_of(op, {batched_type({channels, 4, 12}), batched_type({12, 2, 4})}, batch);
    };
    check_recipe("scatter", group(19, 3));
    check_recipe("scatter", group(300, 4), {.all_isas = false});
}

}  // namespace
}  // namespace emulsion::test
