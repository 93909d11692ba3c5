// Rows of a softmax on OpenCL: fewer classes than lanes, as many, more; prologue and epilogue.
#include <gtest/gtest.h>

#include "compiler/ops/arithmetic.h"
#include "compiler/ops/distribution_cross_entropy.h"
#include "compiler/ops/multi_margin.h"
#include "compiler/ops/softmax.h"
#include "compiler/ops/softmax_cross_entropy.h"
#include "tests/schedules/recipe_support.h"

namespace emulsion::test {
namespace {

const TensorType kLabels = batched_type({}, ElementType::i32);

RecipeCheck with_classes(int64_t classes) {
    RecipeCheck check;
    check.classes = classes;
    return check;
}

TEST(GpuSoftmax, RowsOfEveryLength) {
    for (int64_t classes : {2, 10, 64, 129, 1000}) {
        const TensorType scores = batched_type({classes});
        check_recipe("gpu_softmax", group_of(std::make_shared<Softmax>(), {scores}, 5),
                     with_classes(classes));
        check_recipe("gpu_softmax",
                     group_of(std::make_shared<SoftmaxCrossEntropy>(), {scores, kLabels}, 5),
                     with_classes(classes));
        check_recipe("gpu_softmax",
                     group_of(std::make_shared<SoftmaxCrossEntropyBackward>(),
                              {scores, kLabels, batched_type({})}, 5),
                     with_classes(classes));
    }
}

TEST(GpuSoftmax, RowsOfPixels) {
    const TensorType scores = batched_type({21, 2, 3}), loss = row_type(scores),
                     labels = row_type(scores, ElementType::i32);
    LabelAttributes attributes{0.1, std::vector<double>(21, 0.5), {1}};
    auto forward = std::make_shared<SoftmaxCrossEntropy>();
    static_cast<LabelAttributes&>(*forward) = attributes;
    const RecipeCheck check = with_classes(21);
    check_recipe("gpu_softmax", group_of(forward, {scores, labels}, 3), check);
    check_recipe("gpu_softmax",
                 group_of(std::make_shared<SoftmaxCrossEntropyBackward>(attributes),
                          {scores, labels, loss}, 3),
                 check);
    check_recipe("gpu_softmax",
                 group_of(std::make_shared<DistributionCrossEntropy>(), {scores, scores}, 3),
                 check);
    check_recipe("gpu_softmax",
                 group_of(std::make_shared<MultiMarginBackward>(), {scores, labels, loss}, 3),
                 check);
    check_recipe("gpu_softmax",
                 group_of(std::make_shared<LogSoftmax>(), {batched_type({2, 5})}, 3));
    const TensorType voxels = batched_type({5, 2, 1, 3});
    check_recipe("gpu_softmax",
                 group_of(std::make_shared<SoftmaxCrossEntropy>(),
                          {voxels, row_type(voxels, ElementType::i32)}, 3),
                 with_classes(5));
}

TEST(GpuSoftmax, LargeScores) {
    RecipeCheck check = with_classes(10);
    check.adjust = [](reference::Sources& sources, int64_t) {
        for (double& value : sources.at("a0").values) value = static_cast<float>(300 * value);
    };
    check_recipe("gpu_softmax", group_of(std::make_shared<Softmax>(), {batched_type({10})}, 5),
                 check);
    check_recipe(
        "gpu_softmax",
        group_of(std::make_shared<SoftmaxCrossEntropy>(), {batched_type({10}), kLabels}, 5), check);
}

TEST(GpuSoftmax, PrologueAndEpilogue) {
    const Group group = make_group(4, [](GraphBuilder& b) -> std::vector<Value> {
        const Value x = add_operand(b, "a0", batched_type({10})),
                    bias = add_operand(b, "a1", plain_type({10}));
        const Value labels = add_operand(b, "a2", kLabels);
        const Value v0 = b.add(std::make_shared<Add>(), {x, bias}, "v0");
        const Value v1 = b.add(std::make_shared<SoftmaxCrossEntropy>(), {v0, labels}, "v1");
        return {v1, b.add(std::make_shared<Scale>(0.5), {v1}, "v2"), {v1.node, 1}};
    });
    check_recipe("gpu_softmax", group, with_classes(10));
}

}  // namespace
}  // namespace emulsion::test
