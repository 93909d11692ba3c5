// Depthwise convolutions in three directions on OpenCL: tiles with tails, strides, dilation, odd
// channels.
#include <gtest/gtest.h>

#include "compiler/ops/activations.h"
#include "compiler/ops/arithmetic.h"
#include "compiler/ops/conv2d.h"
#include "tests/schedules/recipe_support.h"

namespace emulsion::test {
namespace {

struct DepthwiseCase {
    int64_t channels, height, width;
    std::vector<int64_t> kernel = {3, 3}, stride = {1, 1}, dilation = {1, 1},
                         padding = {1, 1, 1, 1};
    int batch = 3;
    int64_t multiplier = 1;

    int64_t out(size_t axis, int64_t in) const {
        const int64_t covered = dilation[axis] * (kernel[axis] - 1) + 1;
        return (in + padding[2 * axis] + padding[2 * axis + 1] - covered) / stride[axis] + 1;
    }
    TensorType x() const { return batched_type({channels, height, width}); }
    TensorType y() const {
        return batched_type({channels * multiplier, out(0, height), out(1, width)});
    }
    TensorType filter() const {
        return plain_type({channels * multiplier, 1, kernel[0], kernel[1]});
    }
    template <class Op>
    std::shared_ptr<Op> op() const {
        auto op = std::make_shared<Op>();
        op->stride = stride;
        op->dilation = dilation;
        op->padding = padding;
        op->groups = channels;
        return op;
    }
};

const std::vector<DepthwiseCase> kCases = {
    {20, 9, 11},
    {5, 7, 10},
    {36, 15, 17, {3, 3}, {2, 2}},
    {34, 8, 6, {5, 5}, {2, 2}, {1, 1}, {2, 2, 2, 2}},
    {16, 10, 9, {3, 5}, {1, 2}, {1, 1}, {0, 1, 2, 3}},
    {8, 11, 12, {3, 3}, {1, 1}, {2, 3}, {2, 2, 3, 3}},
    {12, 13, 12, {2, 3}, {3, 3}, {1, 1}, {0, 0, 1, 1}},
    {4, 1, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, 1},
    {12, 9, 10, {7, 9}, {2, 1}, {1, 1}, {3, 3, 4, 4}},  // many taps
};

// Several filters for each channel, in vectors and alone.
const std::vector<DepthwiseCase> kMultiplied = {
    {.channels = 6, .height = 9, .width = 8, .multiplier = 2},
    {.channels = 5, .height = 7, .width = 10, .stride = {2, 2}, .multiplier = 3},
};

TEST(GpuDepthwise, Forward) {
    for (size_t i = 0; i < kCases.size(); i++) {
        const DepthwiseCase& c = kCases[i];
        RecipeCheck check;
        check.all_tilings = i < 3;
        check_recipe("gpu_depthwise", group_of(c.op<Conv2d>(), {c.x(), c.filter()}, c.batch),
                     check);
    }
    RecipeCheck check;
    check.all_tilings = false;
    for (const DepthwiseCase& c : kMultiplied)
        check_recipe("gpu_depthwise", group_of(c.op<Conv2d>(), {c.x(), c.filter()}, c.batch),
                     check);
}

TEST(GpuDepthwise, DataGradient) {
    RecipeCheck check;
    check.all_tilings = false;
    for (const DepthwiseCase& c : kCases) {
        for (bool is_rotated : {false, true}) {
            auto op = c.op<Conv2dBackwardData>();
            op->input = {c.height, c.width};
            op->rotated = is_rotated;
            check_recipe("gpu_depthwise", group_of(op, {c.y(), c.filter()}, c.batch), check);
        }
    }
}

TEST(GpuDepthwise, FilterGradient) {
    for (const DepthwiseCase& c : kCases) {
        auto op = c.op<Conv2dBackwardFilter>();
        op->kernel = c.kernel;
        check_recipe("gpu_depthwise_filter_gradient", group_of(op, {c.x(), c.y()}, c.batch));
    }
    for (const DepthwiseCase& c : kMultiplied) {
        auto op = c.op<Conv2dBackwardFilter>();
        op->kernel = c.kernel;
        check_recipe("gpu_depthwise_filter_gradient", group_of(op, {c.x(), c.y()}, c.batch));
    }
}

TEST(GpuDepthwise, FilterGradientInParts) {
    RecipeCheck check;
    check.same_bits = false;  // chains and parts are another order
    for (const auto& [channels, chains, parts] :
         {std::tuple{8, 16, 3}, {32, 8, 7}, {64, 1, 1}, {16, 4, 128}}) {
        check.tilings.push_back({{{"channels", channels}, {"chains", chains}, {"parts", parts}}});
    }
    for (int64_t channels : {36, 19}) {
        const DepthwiseCase c{channels, 15, 17, {3, 3}, {2, 1}};
        auto op = c.op<Conv2dBackwardFilter>();
        op->kernel = c.kernel;
        check_recipe("gpu_depthwise_filter_gradient", group_of(op, {c.x(), c.y()}, 5), check);
    }
}

// Zero outside the map, whatever the prologue makes of zeros; a residual behind.
TEST(GpuDepthwise, FusedWork) {
    const DepthwiseCase c{20, 9, 11};
    check_recipe("gpu_depthwise", make_group(3, [&](GraphBuilder& b) -> std::vector<Value> {
                     const Value x = add_operand(b, "a0", c.x()),
                                 bias = add_operand(b, "a1", plain_type({20}));
                     const Value moved = b.add(std::make_shared<Add>(), {x, bias}, "v0");
                     const Value w = add_operand(b, "a2", c.filter());
                     const Value y = b.add(c.op<Conv2d>(), {moved, w}, "v1");
                     const Value rest = add_operand(b, "a3", c.y());
                     const Value sum = b.add(std::make_shared<Add>(), {y, rest}, "v2");
                     return {b.add(std::make_shared<Relu>(), {sum}, "v3"), sum};
                 }));
    auto op = c.op<Conv2dBackwardFilter>();
    op->kernel = c.kernel;
    check_recipe("gpu_depthwise_filter_gradient",
                 make_group(3, [&](GraphBuilder& b) -> std::vector<Value> {
                     const Value x = add_operand(b, "a0", c.x()),
                                 bias = add_operand(b, "a1", plain_type({20}));
                     const Value moved = b.add(std::make_shared<Add>(), {x, bias}, "v0");
                     const Value dy = add_operand(b, "a2", c.y());
                     const Value dw = b.add(op, {moved, dy}, "v1");
                     const Value w = add_operand(b, "a3", c.filter());
                     return {b.add(std::make_shared<Add>(), {dw, w}, "v2")};
                 }));
}

}  // namespace
}  // namespace emulsion::test
