// The recipe `softmax`: rows of every length, large scores, prologue and epilogue.
#include <gtest/gtest.h>

#include "compiler/ops/arithmetic.h"
#include "compiler/ops/distribution_cross_entropy.h"
#include "compiler/ops/multi_margin.h"
#include "compiler/ops/softmax.h"
#include "compiler/ops/softmax_cross_entropy.h"
#include "tests/schedules/recipe_support.h"

namespace emulsion::test {
namespace {

using reference::make_tensor;
using reference::Tensor;

const TensorType kLabels = batched_type({}, ElementType::i32);

RecipeCheck with_classes(int64_t classes) {
    RecipeCheck check;
    check.classes = classes;
    check.all_isas = classes == 10;
    return check;
}

TEST(SoftmaxRecipe, RowsOfEveryLength) {
    for (int64_t classes : {2, 10, 16, 17, 100, 1000}) {
        const TensorType scores = batched_type({classes});
        check_recipe("softmax", group_of(std::make_shared<Softmax>(), {scores}, 5),
                     with_classes(classes));
        check_recipe("softmax",
                     group_of(std::make_shared<SoftmaxCrossEntropy>(), {scores, kLabels}, 5),
                     with_classes(classes));
        check_recipe("softmax",
                     group_of(std::make_shared<SoftmaxCrossEntropyBackward>(),
                              {scores, kLabels, batched_type({})}, 5),
                     with_classes(classes));
    }
}

// Where several vectors are summed side by side, and some of the last ones lie behind the row.
TEST(SoftmaxRecipe, RowsOfSeveralChains) {
    for (int64_t classes : {256, 257, 320, 1000}) {
        RecipeCheck check = with_classes(classes);
        check.all_isas = true;
        const TensorType scores = batched_type({classes});
        check_recipe("softmax", group_of(std::make_shared<Softmax>(), {scores}, 3), check);
        check_recipe("softmax",
                     group_of(std::make_shared<SoftmaxCrossEntropy>(), {scores, kLabels}, 3),
                     check);
    }
}

TEST(SoftmaxRecipe, LongRows) {
    for (int64_t classes : {4097, 8192, 20011}) {
        const TensorType scores = batched_type({classes});
        RecipeCheck check = with_classes(classes);
        check.all_isas = classes == 20011;
        check_recipe("softmax", group_of(std::make_shared<Softmax>(), {scores}, 3), check);
        check_recipe("softmax",
                     group_of(std::make_shared<SoftmaxCrossEntropy>(), {scores, kLabels}, 3),
                     check);
        check_recipe("softmax",
                     group_of(std::make_shared<SoftmaxCrossEntropyBackward>(),
                              {scores, kLabels, batched_type({})}, 3),
                     check);
    }
}

TEST(SoftmaxRecipe, ManyRows) {
    check_recipe(
        "softmax",
        group_of(std::make_shared<SoftmaxCrossEntropy>(), {batched_type({10}), kLabels}, 1500),
        with_classes(10));
    check_recipe("softmax", group_of(std::make_shared<Softmax>(), {batched_type({300})}, 70));
}

// The losses on rows of scores of this shape, classes first, each with its backward.
std::vector<Group> losses_of(const std::vector<int64_t>& shape, int batch) {
    LabelAttributes attributes{0.1, {}, {1}};
    if (shape[0] <= 4096) {
        attributes.class_weights.assign(static_cast<size_t>(shape[0]), 0.5);
        attributes.class_weights[0] = 2;
    }
    auto forward = std::make_shared<SoftmaxCrossEntropy>();
    static_cast<LabelAttributes&>(*forward) = attributes;
    const TensorType scores = batched_type(shape), loss = row_type(scores),
                     labels = row_type(scores, ElementType::i32);
    return {
        group_of(std::make_shared<LogSoftmax>(), {scores}, batch),
        group_of(forward, {scores, labels}, batch),
        group_of(std::make_shared<SoftmaxCrossEntropyBackward>(attributes), {scores, labels, loss},
                 batch),
        group_of(std::make_shared<DistributionCrossEntropy>(), {scores, scores}, batch),
        group_of(std::make_shared<DistributionCrossEntropyBackward>(0.1), {scores, scores, loss},
                 batch),
        group_of(std::make_shared<MultiMargin>(), {scores, labels}, batch),
        group_of(std::make_shared<MultiMarginBackward>(), {scores, labels, loss}, batch),
    };
}

void check_losses(const std::vector<int64_t>& shape, int batch, bool all_isas) {
    for (const Group& group : losses_of(shape, batch)) {
        RecipeCheck check = with_classes(shape[0]);
        check.all_isas = all_isas;
        check.fills["a1"] = group.anchor_node().inputs.size() > 1 &&
                                    group.anchor_input(1).element == ElementType::i32
                                ? Fill::labels
                                : Fill::positive;
        check_recipe("softmax", group, check);
    }
}

TEST(SoftmaxRecipe, LossesOfSamples) {
    check_losses({10}, 5, /*all_isas=*/true);
    check_losses({4099}, 2, /*all_isas=*/false);
}

TEST(SoftmaxRecipe, LossesOfPixels) {
    check_losses({21, 3, 7}, 3, /*all_isas=*/true);
    check_losses({2, 1, 17}, 3, /*all_isas=*/false);
    check_losses({16, 5}, 3, /*all_isas=*/false);
}

TEST(SoftmaxRecipe, LossesOfVolumes) {
    check_losses({5, 2, 3, 17}, 3, /*all_isas=*/true);
    check_losses({70, 2, 1, 3}, 2, /*all_isas=*/false);  // classes that are staged
}

TEST(SoftmaxRecipe, ManyPixels) {  // tasks of lines, the last one cut
    check_recipe("softmax", group_of(std::make_shared<Softmax>(), {batched_type({3, 27, 300})}, 2));
}

TEST(SoftmaxRecipe, PrologueAndEpilogue) {
    const Group group = make_group(4, [](GraphBuilder& b) -> std::vector<Value> {
        const Value x = add_operand(b, "a0", batched_type({10})),
                    bias = add_operand(b, "a1", plain_type({10}));
        const Value labels = add_operand(b, "a2", kLabels);
        const Value v0 = b.add(std::make_shared<Add>(), {x, bias}, "v0");
        const Value v1 = b.add(std::make_shared<SoftmaxCrossEntropy>(), {v0, labels}, "v1");
        return {v1, b.add(std::make_shared<Scale>(0.5), {v1}, "v2"), {v1.node, 1}};
    });
    check_recipe("softmax", group, with_classes(10));
}

std::vector<Tensor> run_rows(const std::shared_ptr<const Op>& op,
                             const std::vector<Tensor>& operands, int64_t samples) {
    std::vector<TensorType> types;
    reference::Sources sources;
    for (size_t i = 0; i < operands.size(); i++) {
        types.push_back(operands[i].type);
        sources["a" + std::to_string(i)] = operands[i];
    }
    const Group group = group_of(op, types, static_cast<int>(samples));
    const Recipe& recipe = recipe_named("softmax");
    return CompiledRecipe(group, recipe, recipe.tilings(group, isa_baseline())[0], isa_baseline())
        .run(sources, samples);
}

TEST(SoftmaxRecipe, LargeScores) {  // case L1
    const Tensor scores = make_tensor(batched_type({3}), 1, {1000, 0, -1000});
    const Tensor label = make_tensor(kLabels, 1, {1}), one = make_tensor(batched_type({}), 1, {1});
    const auto loss = run_rows(std::make_shared<SoftmaxCrossEntropy>(), {scores, label}, 1);
    EXPECT_EQ(loss[0].values, std::vector<double>{1000});
    EXPECT_EQ(loss[1].values, std::vector<double>{0});
    const auto gradient =
        run_rows(std::make_shared<SoftmaxCrossEntropyBackward>(), {scores, label, one}, 1);
    EXPECT_EQ(gradient[0].values, (std::vector<double>{1, -1, 0}));
}

TEST(SoftmaxRecipe, TheFirstOfEqualScoresCounts) {
    const Tensor scores = make_tensor(batched_type({20}), 2, std::vector<double>(40, 0.25));
    const auto result = run_rows(std::make_shared<SoftmaxCrossEntropy>(),
                                 {scores, make_tensor(kLabels, 2, {0, 19})}, 2);
    EXPECT_EQ(result[1].values, (std::vector<double>{1, 0}));
}

}  // namespace
}  // namespace emulsion::test
