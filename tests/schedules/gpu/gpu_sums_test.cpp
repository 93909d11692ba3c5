// Sums over samples and over parameters on OpenCL: channels with tails, one part and several.
#include <gtest/gtest.h>

#include "compiler/ops/batch_norm_parts.h"
#include "compiler/ops/moments.h"
#include "compiler/ops/reduce.h"
#include "compiler/ops/sum_squares.h"
#include "tests/schedules/recipe_support.h"

namespace emulsion::test {
namespace {

Group reduce_group(const TensorType& type, bool keep_channels, bool mean, int batch) {
    auto op = std::make_shared<Reduce>();
    op->keep_channels = keep_channels;
    op->mean = mean;
    return group_of(op, {type}, batch);
}

TEST(GpuSums, OfMapsAndFeatures) {
    check_recipe("gpu_sums", reduce_group(batched_type({20, 9, 11}), true, false, 5));
    check_recipe("gpu_sums", reduce_group(batched_type({20, 19, 23}), true, true, 5));
    check_recipe("gpu_sums", reduce_group(batched_type({1, 1, 1}), true, true, 1));
    check_recipe("gpu_sums", reduce_group(batched_type({33}), true, true, 3));
    check_recipe("gpu_sums", reduce_group(batched_type({}), false, true, 7));
    check_recipe("gpu_sums", reduce_group(batched_type({5, 30, 40}), false, false, 3));
}

TEST(GpuSums, OfParameters) {
    for (const TensorType& type : {plain_type({17, 5, 3, 3}), plain_type({130, 700})})
        check_recipe("gpu_sums", group_of(std::make_shared<SumSquares>(), {type}, 1));
    check_recipe("gpu_sums", reduce_group(plain_type({33}), false, true, 1));
    check_recipe("gpu_sums", reduce_group(plain_type({}), false, true, 1));
}

TEST(GpuSums, MomentsAroundALargeMean) {
    for (int64_t height : {301, 1601}) {  // one part of the strips, and several
        auto op = std::make_shared<MergeMoments>();
        op->width = 6;
        op->height = height;
        const TensorType strips = strip_type(batched_type({19, height, 6}));
        RecipeCheck check;
        check.adjust = [](reference::Sources& sources, int64_t) {
            for (double& value : sources.at("a0").values) value = static_cast<float>(3000 + value);
            for (double& value : sources.at("a1").values) value /= 64;
            for (double& value : sources.at("a2").values)
                value = static_cast<float>(24 + value * value);
        };
        check_recipe("gpu_sums", group_of(op, {strips, strips, strips}, 3), check);
    }
}

}  // namespace
}  // namespace emulsion::test
