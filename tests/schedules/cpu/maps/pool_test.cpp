// The recipe `pool`: every kind of window, odd shapes, prologue and epilogue.
#include <gtest/gtest.h>

#include "compiler/ops/activations.h"
#include "compiler/ops/arithmetic.h"
#include "compiler/ops/average_pool.h"
#include "compiler/ops/batch_norm_parts.h"
#include "compiler/ops/max_pool.h"
#include "tests/schedules/recipe_support.h"

namespace emulsion::test {
namespace {

struct PoolCase {
    std::vector<int64_t> window, stride, padding;
    bool ceil = false;
    int64_t height = 6, width = 7;
};

const std::vector<PoolCase> kCases = {
    {{2, 2}, {2, 2}, {0, 0, 0, 0}, false, 6, 8}, {{2, 2}, {2, 2}, {0, 0, 0, 0}, false, 5, 5},
    {{3, 3}, {2, 2}, {1, 1, 1, 1}, false, 7, 6}, {{3, 2}, {1, 1}, {0, 1, 1, 0}, false, 4, 4},
    {{2, 3}, {3, 2}, {0, 0, 0, 0}, false, 7, 8}, {{2, 2}, {2, 2}, {0, 0, 0, 0}, true, 5, 7},
    {{7, 9}, {7, 9}, {0, 0, 0, 0}, false, 7, 9}, {{1, 1}, {1, 1}, {0, 0, 0, 0}, false, 1, 1},
};
const PoolCase kLarge = {{13, 13}, {4, 4}, {6, 6, 6, 6}, false, 13, 11};

template <class T>
std::shared_ptr<T> pool_op(const PoolCase& c) {
    auto op = std::make_shared<T>();
    op->window = c.window;
    op->stride = c.stride;
    op->padding = c.padding;
    op->ceil = c.ceil;
    return op;
}

RecipeCheck quick(const std::string& separated = "") {
    RecipeCheck check;
    check.all_tilings = check.all_isas = false;
    if (!separated.empty()) check.fills[separated] = Fill::separated;
    return check;
}

TEST(PoolRecipe, Forward) {
    for (const PoolCase& c : kCases) {
        for (int64_t channels : {1, 20}) {
            const TensorType type = batched_type({channels, c.height, c.width});
            check_recipe("pool", group_of(pool_op<MaxPool>(c), {type}, 3), quick("a0"));
            check_recipe("pool", group_of(pool_op<AveragePool>(c), {type}, 3), quick());
        }
    }
}

TEST(PoolRecipe, OddChannelsAtTheEndOfAPage) {  // case R12
    for (int64_t channels : {3, 7, 17}) {
        const TensorType type = batched_type({channels, 6, 8});
        check_recipe("pool", group_of(pool_op<MaxPool>(kCases[0]), {type}, 2), quick("a0"));
    }
}

TEST(PoolRecipe, LargeWindow) {
    const TensorType type = batched_type({20, kLarge.height, kLarge.width});
    check_recipe("pool", group_of(pool_op<MaxPool>(kLarge), {type}, 2), quick("a0"));
    check_recipe("pool", group_of(pool_op<AveragePool>(kLarge), {type}, 2), quick());
    check_recipe("pool", group_of(pool_op<AveragePool>(kLarge), {batched_type({1, 13, 11})}, 2),
                 quick());
}

TEST(PoolRecipe, Backward) {
    for (const PoolCase& c : kCases) {
        auto max = pool_op<MaxPoolBackward>(c);
        auto average = pool_op<AveragePoolBackward>(c);
        max->input = average->input = {c.height, c.width};
        for (int64_t channels : {1, 20}) {
            const TensorType x = batched_type({channels, c.height, c.width});
            const std::vector<TensorType> y = pool_op<MaxPool>(c)->infer({{x}});
            RecipeCheck check = quick();
            check.adjust = [&](reference::Sources& sources,
                               int64_t samples) {  // winners of a forward pass
                OpCase forward{{x}, {Fill::separated}, samples};
                sources["a1"] =
                    reference::evaluate(*pool_op<MaxPool>(c), random_operands(forward), samples)[1];
            };
            const bool is_anchor = max->op_class() == OpClass::window;
            check_recipe(is_anchor ? "pool" : "pointwise", group_of(max, y, 3), check);
            check_recipe(is_anchor ? "pool" : "pointwise", group_of(average, {y[0]}, 3), quick());
        }
    }
}

TEST(PoolRecipe, ManyTasks) {
    RecipeCheck check;
    check.fills["a0"] = Fill::separated;
    check_recipe("pool", group_of(pool_op<MaxPool>(kCases[0]), {batched_type({32, 28, 28})}, 5),
                 check);
}

TEST(PoolRecipe, WithoutTheIndex) {
    check_recipe("pool",
                 make_group(3,
                            [](GraphBuilder& b) -> std::vector<Value> {
                                const Value x = add_operand(b, "a0", batched_type({20, 6, 6}));
                                return {b.add(pool_op<MaxPool>(kCases[0]), {x}, "v0")};
                            }),
                 quick("a0"));
}

// pool(relu(x + bias)) * scale, with the winners
TEST(PoolRecipe, PrologueAndEpilogue) {
    for (const PoolCase& c : {kCases[0], kCases[2]}) {
        for (int64_t channels : {5, 32}) {
            const Group group = make_group(3, [&](GraphBuilder& b) -> std::vector<Value> {
                const Value x = add_operand(b, "a0", batched_type({channels, c.height, c.width}));
                const Value bias = add_operand(b, "a1", plain_type({channels}));
                const Value scale = add_operand(b, "a2", plain_type({channels}));
                const Value v0 = b.add(std::make_shared<Add>(), {x, bias}, "v0");
                const Value v1 = b.add(std::make_shared<LeakyRelu>(), {v0}, "v1");
                const Value v2 = b.add(pool_op<MaxPool>(c), {v1}, "v2");
                return {b.add(std::make_shared<Multiply>(), {v2, scale}, "v3"), {v2.node, 1}};
            });
            RecipeCheck check = quick("a0");
            check.fills["a1"] = Fill::positive;
            check_recipe("pool", group, check);
        }
    }
}

}  // namespace
}  // namespace emulsion::test
