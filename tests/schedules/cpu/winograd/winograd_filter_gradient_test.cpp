// Filter gradients by Winograd's method over shapes and prologues, and where each recipe is chosen.
#include <gtest/gtest.h>

#include <algorithm>

#include "compiler/ops/max_pool.h"
#include "schedules/library.h"
#include "tests/schedules/cpu/winograd/winograd_support.h"

namespace emulsion::test {
namespace {

// Both recipes, by name.
class WinogradFilterGradients : public testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Recipes, WinogradFilterGradients,
                         testing::Values("winograd_filter_gradient", "winograd_panel_gradient"),
                         [](const auto& test) { return test.param; });

TEST_P(WinogradFilterGradients, ShapesOf3x3) {
    check_groups(groups_of(sweep(3), gradient_group), {GetParam()});
}
TEST_P(WinogradFilterGradients, ShapesOf5x5) {
    check_groups(groups_of(sweep(5), gradient_group), {GetParam()});
}

// Maps of one and two rows or columns, and of 5 and 6, go over 4 points.
TEST_P(WinogradFilterGradients, ShapesOverFourPoints) {
    std::vector<ConvCase> cases = {{16, 32, 1, 1},
                                   {32, 48, 2, 2, 3, {1, 1, 1, 1}, 5},
                                   {48, 16, 3, 4, 3, {0, 0, 0, 0}},
                                   {32, 32, 2, 9, 3, {1, 1, 0, 2}, 4},
                                   {16, 64, 13, 1, 3, {2, 1, 1, 1}, 2},
                                   {64, 32, 7, 2},
                                   {16, 32, 5, 6},
                                   {160, 96, 2, 2, 3, {1, 1, 1, 1}, 40}};
    check_groups(groups_of(cases, gradient_group), {GetParam()});
}

TEST_P(WinogradFilterGradients, EveryTiling) {
    Check check{GetParam()};
    check.all_tilings = true;
    check_groups(
        {gradient_group({48, 64, 9, 10}), gradient_group({16, 32, 6, 7, 5, {2, 2, 2, 2}, 2}),
         gradient_group({48, 64, 2, 9})},
        check);
}

TEST_P(WinogradFilterGradients, WithHalidesAsserts) {
    Check check{GetParam()};
    check.checked = true;
    check_groups(
        {gradient_group({16, 32, 5, 7}), gradient_group({32, 16, 8, 4, 5, {2, 2, 2, 2}, 2}),
         gradient_group({16, 32, 7, 2})},
        check);
}

TEST(WinogradFilterGradient, ReadsAhead) {
    check_groups(groups_of(large_cases(), gradient_group), {"winograd_filter_gradient"});
}

// More blocks than partitions, a last round that is not full.
TEST_P(WinogradFilterGradients, ManySamples) {
    check_groups({gradient_group({16, 16, 13, 13, 3, {1, 1, 1, 1}, 40})}, {GetParam()});
}

// Several tasks either way, and one tile a sample.
TEST_P(WinogradFilterGradients, ManyChannels) {
    check_groups(
        {gradient_group({160, 96, 7, 7}), gradient_group({64, 256, 4, 4, 3, {1, 1, 1, 1}, 5})},
        {GetParam()});
}

TEST_P(WinogradFilterGradients, Prologues) {
    std::vector<Group> groups;
    std::vector<ConvCase> cases = fused_cases();
    cases.push_back({16, 32, 2, 6, 3, {1, 1, 1, 1}, 5});  // over 4 points
    for (const ConvCase& c : cases) {
        groups.push_back(make_group(c.batch, [&](GraphBuilder& b) -> std::vector<Value> {
            const Value x = add_operand(b, "a0", input_type(c));
            const std::vector<int64_t> half = {c.out, c.height / 2, c.width / 2};
            const Value dy = add_operand(b, "a1", batched_type(half));
            const Value index = add_operand(b, "a2", batched_type(half, ElementType::u8));
            auto unpool = std::make_shared<MaxPoolBackward>();
            unpool->input = {c.height, c.width};
            const Value spread = b.add(unpool, {dy, index}, "v1");
            return {b.add(gradient_op(c), {add_prologue(b, x), spread}, "v2")};
        }));
    }
    check_groups(groups, {GetParam()});
}

TEST_P(WinogradFilterGradients, Accuracy) {
    std::vector<Group> groups;
    for (int64_t channels : {16, 64, 256}) {
        groups.push_back(gradient_group({channels, 32, 8, 8, 3, {1, 1, 1, 1}, 5}));
        groups.push_back(gradient_group({channels, 32, 8, 8, 5, {2, 2, 2, 2}, 5}));
    }
    const int batch =
        GetParam() == "winograd_panel_gradient" ? 16 : 64;  // sums as long as it takes
    groups.push_back(gradient_group({16, 16, 32, 32, 3, {1, 1, 1, 1}, batch}));
    expect_error(GetParam(), groups);
}

TEST_P(WinogradFilterGradients, AccuracyOverFourPoints) {
    std::vector<Group> groups;
    for (int64_t channels : {16, 64, 256})
        groups.push_back(gradient_group({channels, 32, 6, 6, 3, {1, 1, 1, 1}, 8}));
    const int batch = GetParam() == "winograd_panel_gradient" ? 113 : 512;
    groups.push_back(gradient_group({16, 16, 6, 6, 3, {1, 1, 1, 1}, batch}));
    expect_error(GetParam(), groups);
}

// ---- Choice ----

// The recipe of the lowest estimate: partitions of few channels, panels of many.
TEST(WinogradFilterGradient, RecipeByShape) {
    auto cheapest = [](const ConvCase& c) {
        const Group group = gradient_group(c);
        std::pair<double, std::string> best{1e9, ""};
        Machine machine;
        machine.threads = 2;  // which these choices were measured with
        for (const auto& recipe : make_library()) {
            if (!can_run(*recipe, group, isa_avx512(), /*exact=*/false)) continue;
            if (recipe->is_last_resort()) continue;
            const Tiling tiling = recipe->tilings(group, isa_avx512())[0];
            best = std::min(best, {recipe->cost(group, tiling, isa_avx512(), machine),
                                   std::string(recipe->name())});
        }
        return best.second;
    };
    const std::vector<int64_t> same = {1, 1, 1, 1};
    EXPECT_EQ(cheapest({64, 64, 56, 56, 3, same, 16}), "winograd_filter_gradient");
    EXPECT_EQ(cheapest({128, 128, 28, 28, 3, same, 16}), "winograd_filter_gradient");
    EXPECT_EQ(cheapest({16, 16, 32, 32, 3, same, 128}), "winograd_filter_gradient");
    EXPECT_EQ(cheapest({256, 256, 14, 14, 3, same, 16}), "winograd_panel_gradient");
    EXPECT_EQ(cheapest({512, 512, 7, 7, 3, same, 16}), "winograd_panel_gradient");
    EXPECT_EQ(cheapest({256, 256, 8, 8, 3, same, 64}), "winograd_panel_gradient");
    EXPECT_EQ(cheapest({512, 512, 4, 4, 3, same, 64}), "winograd_panel_gradient");
    EXPECT_EQ(cheapest({512, 512, 2, 2, 3, same, 64}), "winograd_panel_gradient");
}

}  // namespace
}  // namespace emulsion::test
