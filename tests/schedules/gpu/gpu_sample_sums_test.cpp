// Sums within a sample on OpenCL: strips, maps and axes, channels and terms with tails.
#include <gtest/gtest.h>

#include "compiler/ops/activations.h"
#include "compiler/ops/arithmetic.h"
#include "compiler/ops/moments.h"
#include "compiler/ops/reduce.h"
#include "tests/schedules/recipe_support.h"

namespace emulsion::test {
namespace {

// Maps whose last strip is short, whose channels end within a block, whose strips end within a
// round of chains; features.
const std::vector<TensorType> kMaps = {batched_type({20, 9, 7}),  batched_type({33, 4, 5}),
                                       batched_type({5, 3, 1}),   batched_type({16, 8, 8}),
                                       batched_type({70, 1, 40}), batched_type({19})};

TEST(GpuSampleSums, MomentsOfStrips) {
    for (const TensorType& map : kMaps)
        check_recipe("gpu_sample_sums", group_of(std::make_shared<PartialMoments>(), {map}, 3));
}

TEST(GpuSampleSums, MomentsAroundALargeMean) {
    RecipeCheck check;
    check.adjust = [](reference::Sources& sources, int64_t) {
        for (double& value : sources.at("a0").values) value = static_cast<float>(3000 + value);
    };
    check_recipe("gpu_sample_sums",
                 group_of(std::make_shared<PartialMoments>(), {batched_type({18, 6, 31})}, 2),
                 check);
}

TEST(GpuSampleSums, DotsOfStrips) {
    RecipeCheck check;
    check.all_tilings = false;
    for (const TensorType& map : kMaps) {
        check_recipe(
            "gpu_sample_sums",
            group_of(std::make_shared<PartialDots>(), {map, map, plain_type({map.shape[0]})}, 3),
            check);
    }
}

Group reduce_group(const TensorType& type, bool keep_channels, bool mean, int batch) {
    auto op = std::make_shared<Reduce>();
    op->keep_samples = true;
    op->keep_channels = keep_channels;
    op->mean = mean;
    return group_of(op, {type}, batch);
}

TEST(GpuSampleSums, OfMaps) {
    check_recipe("gpu_sample_sums", reduce_group(batched_type({20, 9, 11}), true, true, 5));
    check_recipe("gpu_sample_sums", reduce_group(batched_type({100, 13, 13}), true, true, 1));
    check_recipe("gpu_sample_sums", reduce_group(batched_type({3, 1, 2}), true, false, 2));
    check_recipe("gpu_sample_sums", reduce_group(batched_type({7, 9, 11}), false, true, 3));
    check_recipe("gpu_sample_sums", reduce_group(batched_type({33}), false, false, 3));
    check_recipe("gpu_sample_sums", reduce_group(batched_type({}), false, false, 3));
}

TEST(GpuSampleSums, OverAxes) {
    for (const std::vector<int64_t>& axes :
         std::vector<std::vector<int64_t>>{{0}, {1}, {2}, {0, 1}, {0, 2}, {1, 2}, {0, 1, 2}}) {
        auto op = std::make_shared<ReduceAxes>();
        op->axes = axes;
        op->mean = axes.size() != 2;
        check_recipe("gpu_sample_sums", group_of(op, {batched_type({18, 5, 9})}, 3));
    }
}

TEST(GpuSampleSums, EveryNumberOfChains) {
    RecipeCheck check;
    check.same_bits = false;  // chains are another order
    for (int chains : {1, 2, 16, 128})
        check.tilings.push_back({{{"channels", chains > 16 ? 1 : 8}, {"chains", chains}}});
    check_recipe("gpu_sample_sums", reduce_group(batched_type({5, 6, 7}), false, true, 3),
                 {.tilings = {{{{"channels", 1}, {"chains", 128}}}}});
    check.tilings.pop_back();
    check_recipe("gpu_sample_sums", reduce_group(batched_type({21, 6, 7}), true, true, 3), check);
}

TEST(GpuSampleSums, FusedWork) {
    check_recipe("gpu_sample_sums", make_group(3, [](GraphBuilder& b) -> std::vector<Value> {
                     const Value x = add_operand(b, "a0", batched_type({12, 6, 7}));
                     const Value active = b.add(std::make_shared<Relu>(), {x}, "v0");
                     auto op = std::make_shared<Reduce>();
                     op->keep_samples = op->keep_channels = op->mean = true;
                     const Value mean = b.add(op, {active}, "v1");
                     const Value bias = add_operand(b, "a1", plain_type({12}));
                     return {b.add(std::make_shared<Add>(), {mean, bias}, "v2"), mean};
                 }));
}

}  // namespace
}  // namespace emulsion::test
