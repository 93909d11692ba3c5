// Winograd convolution and its filter transform over shapes, prologues and epilogues.
#include "compiler/ops/winograd.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "compiler/ops/activations.h"
#include "compiler/ops/arithmetic.h"
#include "compiler/ops/max_pool.h"
#include "compiler/ops/moments.h"
#include "compiler/ops/rotate_filter.h"
#include "schedules/library.h"
#include "tests/schedules/cpu/winograd/winograd_support.h"

namespace emulsion::test {
namespace {

using reference::Tensor;

TEST(Winograd, ShapesOf3x3) { check_groups(groups_of(sweep(3), forward_group), {"winograd"}); }
TEST(Winograd, ShapesOf5x5) { check_groups(groups_of(sweep(5), forward_group), {"winograd"}); }
TEST(Winograd, ShapesOverFourPoints) {
    check_groups(groups_of(sweep(3, 4), forward_group), {"winograd"});
}

TEST(Winograd, EveryTiling) {
    Check check{"winograd"};
    check.all_tilings = true;
    check_groups({forward_group({32, 64, 9, 10}), forward_group({16, 32, 6, 7, 5, {2, 2, 2, 2}, 2}),
                  forward_group({32, 64, 9, 10, 3, {1, 1, 1, 1}, 3, 4})},
                 check);
}

TEST(Winograd, ReadsAhead) { check_groups(groups_of(large_cases(), forward_group), {"winograd"}); }

// The pass runs for every processor, so the recipe must.
TEST(Winograd, WithoutFusedMultiplyAdd) {
    Check check{"winograd"};
    check.without_fma = true;
    check_groups(
        groups_of({{16, 32, 6, 7, 3, {1, 1, 1, 1}, 2}, {16, 32, 6, 7, 3, {1, 1, 1, 1}, 2, 4}},
                  forward_group),
        check);
}

TEST(Winograd, WithHalidesAsserts) {
    Check check{"winograd"};
    check.checked = true;
    check_groups({forward_group({16, 32, 5, 7}), forward_group({32, 16, 8, 4, 5, {2, 2, 2, 2}, 2}),
                  forward_group({16, 32, 5, 7, 3, {1, 1, 1, 1}, 3, 4})},
                 check);
}

// The data gradient of a net: dy comes back through a pool, dx is masked by what the layer below
// stored.
Group masked_group(const ConvCase& c) {
    return make_group(c.batch, [&](GraphBuilder& b) -> std::vector<Value> {
        const std::vector<int64_t> half = {c.in, c.height / 2, c.width / 2};
        const Value dy = add_operand(b, "a0", batched_type(half));
        const Value index = add_operand(b, "a1", batched_type(half, ElementType::u8));
        const Value u = add_operand(b, "a2", transformed_type(c));
        const Value mask = add_operand(b, "a3", output_type(c));
        auto unpool = std::make_shared<MaxPoolBackward>();
        unpool->input = {c.height, c.width};
        const Value spread = b.add(unpool, {dy, index}, "v0");
        const Value dx = b.add(forward_op(c), {spread, u}, "v1");
        return {b.add(std::make_shared<ReluBackward>(), {dx, mask}, "v2")};
    });
}

Group residual_group(const ConvCase& c) {
    return make_group(c.batch, [&](GraphBuilder& b) -> std::vector<Value> {
        const Value x = add_operand(b, "a0", input_type(c));
        const Value u = add_operand(b, "a1", transformed_type(c));
        const Value bias = add_operand(b, "a2", plain_type({c.out}));
        const Value skip = add_operand(b, "a3", output_type(c));
        const Value y = b.add(forward_op(c), {add_prologue(b, x), u}, "v1");
        const Value sum = b.add(std::make_shared<Add>(),
                                {b.add(std::make_shared<Add>(), {y, bias}, "v2"), skip}, "v3");
        return {b.add(std::make_shared<Relu>(), {sum}, "v4"), sum};
    });
}

Group pooled_group(const ConvCase& c) {
    return make_group(c.batch, [&](GraphBuilder& b) -> std::vector<Value> {
        const Value x = add_operand(b, "a0", input_type(c));
        const Value u = add_operand(b, "a1", transformed_type(c));
        const Value bias = add_operand(b, "a2", plain_type({c.out}));
        auto pool = std::make_shared<MaxPool>();
        const Value pooled = b.add(pool, {b.add(forward_op(c), {x, u}, "v0")}, "v1");
        const Value sum = b.add(std::make_shared<Add>(), {pooled, bias}, "v2");
        return {b.add(std::make_shared<Relu>(), {sum}, "v3"), {pooled.node, 1}};
    });
}

TEST(Winograd, PrologueOfUnpoolingAndMask) {
    check_groups(groups_of(fused_cases(), masked_group), {"winograd"});
}
TEST(Winograd, PrologueAndTwoResults) {
    check_groups(groups_of(fused_cases(), residual_group), {"winograd"});
}
TEST(Winograd, PooledWithIndex) {
    std::vector<ConvCase> cases = fused_cases();
    cases.push_back({16, 32, 7, 9, 3, {0, 1, 1, 2}, 2});  // odd, so the pool leaves cells out
    cases.push_back({16, 16, 9, 5});                      // tiles without any pooled cell
    check_groups(groups_of(cases, pooled_group), {"winograd"});
    check_groups(groups_of(over_four_points(cases), pooled_group), {"winograd"});
}
TEST(Winograd, PrologueAndEpilogueOverFourPoints) {
    check_groups(groups_of(over_four_points(fused_cases()), masked_group), {"winograd"});
    check_groups(groups_of(over_four_points(fused_cases()), residual_group), {"winograd"});
}

// A convolution whose result goes into the moments of a batch norm.
Group moments_group(const ConvCase& c) {
    return make_group(c.batch, [&](GraphBuilder& b) -> std::vector<Value> {
        const Value x = add_operand(b, "a0", input_type(c));
        const Value u = add_operand(b, "a1", transformed_type(c));
        const Value y = b.add(forward_op(c), {add_prologue(b, x), u}, "v1");
        const Value moments = b.add(std::make_shared<PartialMoments>(), {y}, "v2");
        return {y, moments, {moments.node, 1}, {moments.node, 2}};
    });
}

// The tail of a residual block backwards: a sum of gradients, masked, stored and summed for two
// batch norms.
Group dots_group(const ConvCase& c) {
    return make_group(c.batch, [&](GraphBuilder& b) -> std::vector<Value> {
        const Value dy = add_operand(b, "a0", input_type(c));
        const Value u = add_operand(b, "a1", transformed_type(c));
        const Value skip = add_operand(b, "a2", output_type(c)),
                    mask = add_operand(b, "a3", output_type(c));
        const Value dx = b.add(forward_op(c), {dy, u}, "v0");
        const Value sum = b.add(std::make_shared<Add>(), {dx, skip}, "v1");
        const Value dz = b.add(std::make_shared<ReluBackward>(), {sum, mask}, "v2");
        std::vector<Value> results = {dz};
        for (int i = 0; i < 2; i++) {
            const Value below = add_operand(b, fmt::format("a{}", 4 + 2 * i), output_type(c));
            const Value mean = add_operand(b, fmt::format("a{}", 5 + 2 * i), plain_type({c.out}));
            const Value dots = b.add(std::make_shared<PartialDots>(), {dz, below, mean},
                                     fmt::format("v{}", 3 + i));
            results.push_back(dots);
            results.push_back({dots.node, 1});
        }
        return results;
    });
}

// Sizes where strips and tiles end early in either direction, and one tile a row.
std::vector<ConvCase> strip_cases() {
    std::vector<ConvCase> cases;
    const std::vector<std::vector<int64_t>> paddings = {{1, 1, 1, 1}, {0, 0, 0, 0}, {2, 0, 1, 3}};
    for (int64_t height = 3; height <= 13; height++) {
        const auto turn = static_cast<size_t>(height);
        cases.push_back({height % 2 == 0 ? 16 : 32, height % 3 == 0 ? 48 : 32, height, 16 - height,
                         3, paddings[height < 12 ? 0 : turn % 3], static_cast<int>(1 + turn % 4)});
    }
    return cases;
}

TEST(Winograd, SumsMomentsOfStrips) {
    check_groups(groups_of(strip_cases(), moments_group), {"winograd"});
}
TEST(Winograd, SumsDotsOfStrips) {
    check_groups(groups_of(strip_cases(), dots_group), {"winograd"});
}
TEST(Winograd, SumsStripsWithEveryTiling) {
    Check check{"winograd"};
    check.all_tilings = true;
    check_groups({moments_group({16, 64, 9, 22, 3, {1, 1, 1, 1}, 4})}, check);
}
TEST(Winograd, SumsNoStripsOverFourPoints) {  // its tiles are half as high as a strip
    for (Group (*group)(const ConvCase&) : {moments_group, dots_group})
        EXPECT_FALSE(recipe_named("winograd")
                         .applies(group({16, 16, 8, 8, 3, {1, 1, 1, 1}, 3, 4}), isa_avx512()));
}

// The tail of a residual block, stored, and the convolution that reads it.
Value add_tail(GraphBuilder& b, const ConvCase& c) {
    const Value x = add_operand(b, "a0", input_type(c)), skip = add_operand(b, "a1", input_type(c));
    const Value sum = b.add(std::make_shared<Add>(), {add_prologue(b, x), skip}, "sum");
    return b.add(std::make_shared<Relu>(), {sum}, "tail");
}

Group tail_group(const ConvCase& c) {
    return make_group(c.batch, [&](GraphBuilder& b) -> std::vector<Value> {
        const Value tail = add_tail(b, c);
        const Value u = add_operand(b, "u", transformed_type(c));
        return {b.add(forward_op(c), {tail, u}, "y"), tail};
    });
}

Group tail_and_moments_group(const ConvCase& c) {
    return make_group(c.batch, [&](GraphBuilder& b) -> std::vector<Value> {
        const Value tail = add_tail(b, c);
        const Value u = add_operand(b, "u", transformed_type(c));
        const Value y = b.add(forward_op(c), {tail, u}, "y");
        const Value moments = b.add(std::make_shared<PartialMoments>(), {y}, "moments");
        return {y, moments, {moments.node, 1}, {moments.node, 2}, tail};
    });
}

Group pooled_tail_group(const ConvCase& c) {
    return make_group(c.batch, [&](GraphBuilder& b) -> std::vector<Value> {
        const Value tail = add_tail(b, c);
        const Value u = add_operand(b, "u", transformed_type(c));
        const Value y = b.add(forward_op(c), {tail, u}, "y");
        const Value pooled = b.add(std::make_shared<MaxPool>(), {y}, "pooled");
        return {pooled, {pooled.node, 1}, tail};
    });
}

// Halide joins loops only where it sees the same in them, which depends on the shape.
TEST(Winograd, StoresTheTailOfEveryShape) {
    std::vector<ConvCase> cases;
    for (int64_t height = 1; height <= 13; height++) {
        const int64_t channels = height % 2 == 0 ? 16 : 32;
        cases.push_back({channels,
                         16,
                         height,
                         height % 3 == 0 ? 14 - height : height,
                         3,
                         {1, 1, 1, 1},
                         height % 4 < 2 ? 3 : 1});
    }
    check_groups(groups_of(cases, tail_and_moments_group), {"winograd"});
    check_groups(groups_of(over_four_points(cases), tail_group), {"winograd"});
}

TEST(Winograd, StoresTheTailOfOtherForms) {
    std::vector<ConvCase> cases = {{16, 32, 6, 8, 5, {2, 2, 2, 2}, 2},
                                   {32, 16, 7, 5, 5, {2, 2, 2, 2}, 3},
                                   {16, 16, 7, 9, 3, {2, 0, 0, 2}, 3}};
    check_groups(groups_of(cases, tail_group), {"winograd"});
    check_groups(groups_of({{16, 32, 6, 8}, {16, 16, 9, 7}}, pooled_tail_group), {"winograd"});
    Check check{"winograd"};
    check.all_tilings = true;
    check_groups({tail_and_moments_group({16, 64, 9, 22, 3, {1, 1, 1, 1}, 4})}, check);
    check.all_tilings = false;
    check.checked = true;
    check_groups({tail_and_moments_group({16, 32, 5, 7}), tail_group({16, 16, 8, 4})}, check);
}

// ---- Filter transform ----

constexpr std::pair<int64_t, int64_t> kForms[] = {{4, 3}, {2, 3}, {2, 5}};  // tile, kernel

std::shared_ptr<WinogradFilter> transform_op(int64_t tile) {
    auto op = std::make_shared<WinogradFilter>();
    op->tile = tile;
    return op;
}

TEST(WinogradFilterTransform, AgreesWithTheReference) {
    for (auto [tile, kernel] : kForms) {
        for (int64_t channels : {1, 16, 48}) {
            check_recipe(
                "winograd_filter",
                group_of(transform_op(tile), {plain_type({32, channels, kernel, kernel})}, 1));
        }
    }
}

TEST(WinogradFilterTransform, TurnsFiltersOnTheWay) {
    for (auto form : kForms) {
        check_recipe("winograd_filter", make_group(1, [&](GraphBuilder& b) -> std::vector<Value> {
                         const Value w =
                             add_operand(b, "a0", plain_type({48, 32, form.second, form.second}));
                         return {b.add(transform_op(form.first),
                                       {b.add(std::make_shared<RotateFilter>(), {w}, "v0")}, "v1")};
                     }));
    }
}

// ---- Accuracy ----

TEST(WinogradAccuracy, Forward) {
    std::vector<Group> groups;
    for (int64_t channels : {16, 64, 256, 512}) {
        groups.push_back(forward_group({channels, 32, 8, 8, 3, {1, 1, 1, 1}, 2}));
        groups.push_back(forward_group({channels, 32, 8, 8, 5, {2, 2, 2, 2}, 2}));
    }
    expect_error("winograd", groups);
}

TEST(WinogradAccuracy, OverFourPoints) {
    std::vector<Group> groups;
    for (int64_t channels : {16, 64, 256, 512})
        groups.push_back(forward_group({channels, 32, 8, 8, 3, {1, 1, 1, 1}, 2, 4}));
    expect_error("winograd", groups);
}

// Takes the mean of each filter off its values.
void make_sums_zero(Tensor& w) {
    const size_t filter = w.values.size() / static_cast<size_t>(w.type.shape[0]);
    for (size_t o = 0; o < w.values.size(); o += filter) {
        double mean = 0;
        for (size_t i = 0; i < filter; i++) mean += w.values[o + i] / static_cast<double>(filter);
        for (size_t i = 0; i < filter; i++) w.values[o + i] -= mean;
    }
}

// The largest |x| times the largest sum of |w| of a filter.
double most_of(const Tensor& x, const Tensor& w) {
    double largest = 0, weight = 0;
    for (double value : x.values) largest = std::max(largest, std::abs(value));
    const size_t filter = w.values.size() / static_cast<size_t>(w.type.shape[0]);
    for (size_t o = 0; o < w.values.size(); o += filter) {
        double sum = 0;
        for (size_t i = 0; i < filter; i++) sum += std::abs(w.values[o + i]);
        weight = std::max(weight, sum);
    }
    return largest * weight;
}

double largest_difference(const Tensor& a, const Tensor& b) {
    double largest = 0;
    for (size_t i = 0; i < a.values.size(); i++)
        largest = std::max(largest, std::abs(a.values[i] - b.values[i]));
    return largest;
}

CompiledRecipe first_tiling_of(const std::string& name, const Group& group) {
    const Recipe& recipe = recipe_named(name);
    const Isa& isa = *runnable_isas().back();
    return CompiledRecipe(group, recipe, recipe.tilings(group, isa)[0], isa);
}

// A pattern that is small beside its mean keeps as many digits as by direct convolution.
TEST(WinogradAccuracy, AroundALargeMean) {
    for (const ConvCase& c :
         {ConvCase{64, 32, 8, 8, 3, {1, 1, 1, 1}, 2}, ConvCase{64, 32, 8, 8, 5, {2, 2, 2, 2}, 2},
          ConvCase{64, 32, 8, 8, 3, {1, 1, 1, 1}, 2, 4}}) {
        const auto conv = std::make_shared<Conv2d>();
        conv->padding = c.padding;
        WinogradFilter transform;
        transform.tile = c.points + 1 - c.kernel;
        const Group fast = forward_group(c),
                    plain = group_of(conv, {input_type(c), filter_type(c)}, c.batch);
        SCOPED_TRACE(fast.signature());
        CompiledRecipe winograd = first_tiling_of("winograd", fast),
                       direct = first_tiling_of("direct", plain);
        for (double mean : {0.0, 3000.0}) {
            for (bool sums_to_zero : {false, true}) {
                reference::Sources sources = random_sources(plain, c.batch);
                Tensor &x = sources.at("a0"), &w = sources.at("a1");
                for (double& value : x.values) value += mean;
                if (sums_to_zero) make_sums_zero(w);
                x = reference::rounded(x), w = reference::rounded(w);
                const Tensor u = reference::rounded(reference::evaluate(transform, {w}, 1)[0]);
                const Tensor expected = reference::evaluate(*conv, {x, w}, c.batch)[0];
                const double most = most_of(x, w);
                const double error =
                    largest_difference(winograd.run({{"a0", x}, {"a1", u}}, c.batch)[0], expected);
                const double error_of_direct =
                    largest_difference(direct.run(sources, c.batch)[0], expected);
                EXPECT_LT(error, 4e-7 * most) << mean;
                EXPECT_LT(error_of_direct, 4e-7 * most) << mean;
                EXPECT_TRUE(mean == 0 || error < 3 * error_of_direct)
                    << error << " by Winograd, " << error_of_direct << " directly";
            }
        }
    }
}

TEST(WinogradAccuracy, ExactRecipesStateNoError) {
    for (const auto& recipe : make_library()) {
        for (const Group& group : {forward_group({16, 32, 8, 8}), gradient_group({16, 32, 8, 8})}) {
            if (!recipe->applies(group, isa_avx512())) continue;
            EXPECT_EQ(recipe->is_exact(), recipe->relative_error(group) == 0) << recipe->name();
        }
    }
}

// 4 x 4 of the result need 36 products instead of 144, 2 x 2 of a 5x5 filter 36 instead of 100, 2 x
// 2 of a 3x3 filter 16 instead of 36.
TEST(Winograd, CountsTheProductsItDoes) {
    const Recipe& forward = recipe_named("winograd");
    const Recipe& gradient = recipe_named("winograd_filter_gradient");
    const Group three = forward_group({16, 32, 8, 8}),
                five = forward_group({16, 32, 8, 8, 5, {2, 2, 2, 2}});
    EXPECT_EQ(static_cast<double>(three.multiply_adds()), 3 * 8 * 8 * 9 * 16 * 32.0);
    EXPECT_EQ(forward.multiply_adds(three), 3 * 4 * 36 * 16 * 32.0);
    EXPECT_EQ(forward.multiply_adds(five), 3 * 16 * 36 * 16 * 32.0);
    EXPECT_EQ(forward.multiply_adds(forward_group({16, 32, 8, 8, 3, {1, 1, 1, 1}, 3, 4})),
              3 * 16 * 16 * 16 * 32.0);
    EXPECT_EQ(gradient.multiply_adds(gradient_group({16, 32, 8, 8})), 3 * 4 * 36 * 16 * 32.0);
    EXPECT_EQ(gradient.multiply_adds(gradient_group({16, 32, 2, 5})), 3 * 3 * 16 * 16 * 32.0);
    EXPECT_EQ(recipe_named("direct").multiply_adds(three),
              static_cast<double>(three.multiply_adds()));
}

// ---- Where it does not apply ----

TEST(Winograd, LeavesTheRestToOthers) {
    const Recipe& forward = recipe_named("winograd");
    const Recipe& gradient = recipe_named("winograd_filter_gradient");
    EXPECT_FALSE(forward.is_exact());
    EXPECT_FALSE(gradient.is_exact());
    EXPECT_TRUE(recipe_named("winograd_filter").is_exact());
    EXPECT_FALSE(forward.applies(gradient_group({16, 16, 8, 8}), isa_avx512()));
    EXPECT_FALSE(gradient.applies(forward_group({16, 16, 8, 8}), isa_avx512()));
    EXPECT_FALSE(gradient.applies(gradient_group({17, 16, 8, 8}), isa_avx512()));
    EXPECT_FALSE(gradient.applies(gradient_group({16, 16, 9, 9, 1, {0, 0, 0, 0}}), isa_avx512()));
    Conv2dBackwardFilter strided = *gradient_op({16, 16, 9, 9});
    strided.stride = {2, 2};
    const Group group = group_of(std::make_shared<Conv2dBackwardFilter>(strided),
                                 {batched_type({16, 9, 9}), batched_type({16, 5, 5})}, 2);
    EXPECT_FALSE(gradient.applies(group, isa_avx512()));
    const Recipe& panels = recipe_named("winograd_panel_gradient");
    EXPECT_FALSE(panels.is_exact());
    EXPECT_FALSE(panels.applies(group, isa_avx512()));
    EXPECT_TRUE(
        panels.applies(gradient_group({16, 16, 32, 32, 3, {1, 1, 1, 1}, 16}), isa_avx512()));
    EXPECT_FALSE(
        panels.applies(gradient_group({16, 16, 32, 32, 3, {1, 1, 1, 1}, 17}), isa_avx512()));
}

}  // namespace
}  // namespace emulsion::test
