// The recipes of dense layers in three directions: odd sizes, small and large batches, prologue and
// epilogue.
#include <gtest/gtest.h>

#include <algorithm>

#include "compiler/ops/activations.h"
#include "compiler/ops/arithmetic.h"
#include "compiler/ops/dense.h"
#include "tests/schedules/recipe_support.h"

namespace emulsion::test {
namespace {

struct DenseCase {
    int64_t in, out;
    int batch;
};

const std::vector<DenseCase> kCases = {
    {1, 1, 3}, {7, 10, 1}, {64, 16, 2}, {129, 10, 16}, {17, 33, 5}, {100, 96, 9}, {31, 48, 27},
};

TensorType x_type(const DenseCase& c) { return batched_type({c.in}); }
TensorType y_type(const DenseCase& c) { return batched_type({c.out}); }
TensorType w_type(const DenseCase& c) { return plain_type({c.out, c.in}); }

RecipeCheck first_tiling() {
    RecipeCheck check;
    check.all_tilings = false;
    return check;
}

RecipeCheck every_tiling() {
    RecipeCheck check;
    check.all_isas = false;
    return check;
}

TEST(Matmul, Shapes) {
    for (const DenseCase& c : kCases) {
        check_recipe("matmul", group_of(std::make_shared<Dense>(), {x_type(c), w_type(c)}, c.batch),
                     first_tiling());
    }
    const DenseCase c{37, 32, 11};
    check_recipe("matmul", group_of(std::make_shared<Dense>(), {x_type(c), w_type(c)}, c.batch),
                 every_tiling());
}

// The bits of a row depend neither on the other rows nor on how many there are.
TEST(Matmul, RowsAlone) {
    for (int batch : {3, 19}) {
        const DenseCase c{45, 20, batch};
        const Group group = group_of(std::make_shared<Dense>(), {x_type(c), w_type(c)}, batch);
        const Recipe& recipe = recipe_named("matmul");
        CompiledRecipe compiled(group, recipe, recipe.tilings(group, native_isa())[0],
                                native_isa());
        const reference::Sources sources = random_sources(group, batch);
        const std::vector<double> together = compiled.run(sources, batch)[0].values;
        for (int64_t row = 0; row < batch; row++) {
            reference::Sources alone = sources;
            const auto first = sources.at("a0").values.begin() + row * c.in;
            alone["a0"] = reference::make_tensor(x_type(c), 1, {first, first + c.in});
            const auto expected = together.begin() + row * c.out;
            EXPECT_EQ(compiled.run(alone, 1)[0].values,
                      std::vector<double>(expected, expected + c.out));
        }
    }
}

// Nine inputs are two chains of four and one left over. Here that one's product needs more digits
// than a float has, and cancels the rest but for these: a fused multiply-add shows.
TEST(Matmul, FeaturesOfEqualWeightsAreEqual) {
    constexpr double kFactor = 1 + 0x1p-12;
    for (const DenseCase& c :
         {DenseCase{9, 9, 5}, DenseCase{9, 17, 1}, DenseCase{9, 17, 2}, DenseCase{9, 33, 1}}) {
        const Group group = group_of(std::make_shared<Dense>(), {x_type(c), w_type(c)}, c.batch);
        SCOPED_TRACE(group.signature());
        reference::Sources sources;
        std::vector<double> x, w;
        for (int n = 0; n < c.batch; n++) {
            for (int i = 0; i < 9; i++) x.push_back(i == 0 ? 1 : i == 8 ? kFactor : 0);
        }
        for (int64_t k = 0; k < c.out; k++) {
            for (int i = 0; i < 9; i++) w.push_back(i == 0 ? -1 - 0x1p-11 : i == 8 ? kFactor : 0);
        }
        sources["a0"] = reference::make_tensor(x_type(c), c.batch, x);
        sources["a1"] = reference::make_tensor(w_type(c), 1, w);
        const std::vector<double> zeros(static_cast<size_t>(c.batch * c.out));
        const Recipe& recipe = recipe_named("matmul");
        for (const Isa* isa : runnable_isas()) {
            SCOPED_TRACE(isa->name);
            CompiledRecipe compiled(group, recipe, recipe.tilings(group, *isa)[0], *isa);
            EXPECT_EQ(compiled.run(sources, c.batch)[0].values, zeros);
        }
    }
}

TEST(Matmul, PrologueAndEpilogue) {
    for (const DenseCase& c : {kCases[1], kCases[4], kCases[5]}) {
        const Group group = make_group(c.batch, [&](GraphBuilder& b) -> std::vector<Value> {
            const Value x = add_operand(b, "a0", x_type(c));
            const Value w = add_operand(b, "a1", w_type(c));
            const Value bias = add_operand(b, "a2", plain_type({c.out}));
            const Value y = b.add(std::make_shared<Dense>(),
                                  {b.add(std::make_shared<Tanh>(), {x}, "v0"), w}, "v1");
            const Value sum = b.add(std::make_shared<Add>(), {y, bias}, "v2");
            return {sum, b.add(std::make_shared<Relu>(), {sum}, "v3")};
        });
        check_recipe("matmul", group, first_tiling());
    }
}

TEST(MatmulDataGradient, Shapes) {
    for (const DenseCase& c : kCases) {
        check_recipe(
            "matmul_data_gradient",
            group_of(std::make_shared<DenseBackwardData>(), {y_type(c), w_type(c)}, c.batch),
            first_tiling());
    }
    const DenseCase c{50, 20, 11};
    check_recipe("matmul_data_gradient",
                 group_of(std::make_shared<DenseBackwardData>(), {y_type(c), w_type(c)}, c.batch),
                 every_tiling());
}

TEST(MatmulDataGradient, PrologueAndEpilogue) {
    const DenseCase c{33, 18, 6};
    const Group group = make_group(c.batch, [&](GraphBuilder& b) -> std::vector<Value> {
        const Value dy = add_operand(b, "a0", y_type(c));
        const Value y = add_operand(b, "a1", y_type(c));
        const Value w = add_operand(b, "a2", w_type(c));
        const Value mask = add_operand(b, "a3", x_type(c));
        const Value masked = b.add(std::make_shared<ReluBackward>(), {dy, y}, "v0");
        const Value dx = b.add(std::make_shared<DenseBackwardData>(), {masked, w}, "v1");
        return {b.add(std::make_shared<ReluBackward>(), {dx, mask}, "v2")};
    });
    RecipeCheck check = first_tiling();
    check.fills["a1"] = check.fills["a3"] = Fill::off_zero;
    check_recipe("matmul_data_gradient", group, check);
}

TEST(MatmulWeightGradient, Shapes) {
    for (const DenseCase& c : kCases) {
        check_recipe(
            "matmul_weight_gradient",
            group_of(std::make_shared<DenseBackwardWeights>(), {x_type(c), y_type(c)}, c.batch),
            first_tiling());
    }
    const DenseCase c{50, 32, 11};
    check_recipe(
        "matmul_weight_gradient",
        group_of(std::make_shared<DenseBackwardWeights>(), {x_type(c), y_type(c)}, c.batch),
        every_tiling());
}

TEST(MatmulWeightGradient, Prologues) {
    const DenseCase c{40, 18, 70};
    const Group group = make_group(c.batch, [&](GraphBuilder& b) -> std::vector<Value> {
        const Value x = add_operand(b, "a0", x_type(c));
        const Value dy = add_operand(b, "a1", y_type(c));
        const Value y = add_operand(b, "a2", y_type(c));
        const Value active = b.add(std::make_shared<Tanh>(), {x}, "v0");
        const Value masked = b.add(std::make_shared<ReluBackward>(), {dy, y}, "v1");
        return {b.add(std::make_shared<DenseBackwardWeights>(), {active, masked}, "v2")};
    });
    RecipeCheck check = first_tiling();
    check.fills["a2"] = Fill::off_zero;
    check_recipe("matmul_weight_gradient", group, check);
}

}  // namespace
}  // namespace emulsion::test
