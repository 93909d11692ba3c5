// Convolution and its two gradients: lowering, gradient, shapes, and cases with known values.
#include "compiler/ops/conv2d.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "compiler/ops/rotate_filter.h"
#include "compiler/ops/window.h"
#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

using reference::Tensor;
using Values = std::vector<double>;

std::shared_ptr<Conv2d> conv(std::vector<int64_t> stride = {1, 1},
                             std::vector<int64_t> padding = {0, 0, 0, 0},
                             std::vector<int64_t> dilation = {1, 1}) {
    auto op = std::make_shared<Conv2d>();
    op->stride = std::move(stride);
    op->padding = std::move(padding);
    op->dilation = std::move(dilation);
    return op;
}

OpCase shapes(int64_t c, int64_t h, int64_t w, int64_t o, int64_t kh, int64_t kw) {
    return {{batched_type({c, h, w}), plain_type({o, c, kh, kw})}, {}};
}

// `seq` of the cases: element i is (i * step) % mod - off.
Values seq(size_t count, int mod = 11, int step = 7, int off = 5) {
    Values values;
    for (size_t i = 0; i < count; i++)
        values.push_back(static_cast<double>(static_cast<int>(i) * step % mod - off));
    return values;
}

Values counted(int from, int to) {
    Values values;
    for (int i = from; i <= to; i++) values.push_back(i);
    return values;
}

Tensor map(int64_t c, int64_t h, int64_t w, Values values) {
    return reference::make_tensor(batched_type({c, h, w}), 1, std::move(values));
}

Tensor filter(int64_t o, int64_t c, int64_t h, int64_t w, Values values) {
    return reference::make_tensor(plain_type({o, c, h, w}), 1, std::move(values));
}

Values run(const Op& op, const Tensor& a, const Tensor& b) {
    return run_op(op, {a, b}, 1)[0].values;
}

TEST(Conv2d, AgreesWithTheReferenceAndItsGradient) {
    check_op(conv(), shapes(3, 5, 4, 2, 3, 3));
    check_op(conv({1, 1}, {1, 1, 1, 1}), shapes(2, 5, 6, 17, 3, 3));
    check_op(conv({2, 1}, {0, 1, 2, 1}), shapes(2, 6, 5, 3, 2, 3));
    check_op(conv({1, 2}, {2, 3, 1, 0}, {2, 1}), shapes(1, 5, 6, 4, 3, 2));
    check_op(conv({3, 3}), shapes(2, 7, 7, 3, 3, 3));
    check_op(conv(), shapes(19, 2, 1, 18, 1, 1));
    check_op(conv({2, 2}, {2, 2, 2, 2}), shapes(1, 1, 1, 1, 5, 5));
}

TEST(Conv2d, SamePaddingWithStridePutsTheOddOneRight) {  // case C1
    const auto [before, after] = same_padding(6, 3, 2, 1);
    EXPECT_EQ(run(*conv({1, 2}, {0, 0, before, after}), map(1, 1, 6, counted(1, 6)),
                  filter(1, 1, 1, 3, {1, 2, 4})),
              (Values{17, 31, 17}));
}

TEST(Conv2d, SamePaddingCountsTheDilatedKernel) {  // case C2
    const auto [before, after] = same_padding(8, 2, 1, 3);
    EXPECT_EQ(before, 1);
    EXPECT_EQ(after, 2);
    EXPECT_EQ(run(*conv({1, 1}, {0, 0, before, after}, {1, 3}), map(1, 1, 8, counted(1, 8)),
                  filter(1, 1, 1, 2, {1, 10})),
              (Values{30, 41, 52, 63, 74, 85, 6, 7}));
}

TEST(Conv2d, KernelWiderThanTheMap) {  // case C3
    EXPECT_EQ(
        run(*conv({1, 1}, {2, 2, 2, 2}), map(1, 3, 3, counted(1, 9)), filter(1, 1, 5, 5, seq(25))),
        (Values{-32, -28, -24, 21, -19, 7, 52, -32, -28}));
}

TEST(Conv2d, SeventeenChannels) {  // case C5; its scale-shift and activation are done here
    Values y = run(*conv(), map(3, 2, 2, seq(12)), filter(17, 3, 1, 1, seq(51, 7, 3, 3)));
    double sum = 0;
    for (size_t i = 0; i < y.size(); i++) {
        y[i] = std::max(0.0, y[i] * 0.5 + static_cast<double>(i / 4 % 5));
        sum += y[i];
    }
    EXPECT_EQ(sum, 266.5);
    EXPECT_EQ(Values(y.end() - 8, y.end()), (Values{7.5, 0, 6, 2.5, 0, 6.5, 0, 3.5}));
}

TEST(Conv2d, WorkedExample) {
    const Tensor x =
        map(1, 5, 5, {1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0});
    const Tensor w = filter(1, 1, 3, 3, {1, 0, 1, 0, 1, 0, 1, 0, 1});
    EXPECT_EQ(run(*conv(), x, w), (Values{4, 3, 4, 2, 4, 3, 2, 3, 4}));
    EXPECT_EQ(run(*conv({2, 2}), x, w), (Values{4, 4, 2, 4}));
    EXPECT_EQ(run(*conv({1, 1}, {0, 0, 0, 0}, {2, 2}), x, w), (Values{2}));
    Values same = run(*conv({1, 1}, {1, 1, 1, 1}), x, w);
    same.resize(5);
    EXPECT_EQ(same, (Values{2, 2, 3, 1, 1}));
}

TEST(Conv2d, EdgeFiltersOnOnePatch) {
    const Tensor x = map(1, 3, 3, {221, 198, 149, 205, 147, 173, 149, 170, 222});
    EXPECT_EQ(run(*conv(), x, filter(1, 1, 3, 3, {-1, 0, 1, -2, 0, 2, -1, 0, 1})), (Values{-63}));
    EXPECT_EQ(run(*conv(), x, filter(1, 1, 3, 3, {-1, -2, -1, 0, 0, 0, 1, 2, 1})), (Values{-55}));
    EXPECT_EQ(run(*conv(), x, filter(1, 1, 3, 3, {0, -1, 0, -1, 4, -1, 0, -1, 0})), (Values{-158}));
    EXPECT_EQ(run(*conv(), x, filter(1, 1, 3, 3, {0, -1, 0, -1, 5, -1, 0, -1, 0})), (Values{-11}));
    expect_near(run(*conv(), x, filter(1, 1, 3, 3, Values(9, 1 / 9.0))), {1634 / 9.0}, 1e-4);
}

TEST(Conv2dGradients, StrideThatDoesNotDivide) {  // case G1
    Conv2dBackwardData data;
    data.stride = {1, 2};
    data.input = {1, 6};
    EXPECT_EQ(run(data, map(1, 1, 2, {1, 10}), filter(1, 1, 1, 3, {1, 2, 3})),
              (Values{1, 2, 13, 20, 30, 0}));
    Conv2dBackwardFilter weights;
    weights.stride = {1, 2};
    weights.kernel = {1, 3};
    EXPECT_EQ(run(weights, map(1, 1, 6, {2, 3, 5, 7, 11, 13}), map(1, 1, 2, {1, 10})),
              (Values{52, 73, 115}));
}

double sum_of_squares(const Values& values) {
    double sum = 0;
    for (double value : values) sum += value * value;
    return sum;
}

TEST(Conv2dGradients, MoreThanSixteenChannelsOnANarrowMap) {  // case G3
    const Tensor x = map(33, 1, 7, seq(33 * 7));
    const Tensor w = filter(17, 33, 1, 3, seq(17 * 33 * 3, 5, 3, 2));
    const Tensor dy = map(17, 1, 4, seq(17 * 4, 3, 2, 1));
    Conv2dBackwardData data;
    data.stride = {1, 2};
    data.padding = {0, 0, 1, 1};
    data.input = {1, 7};
    const Values dx = run(data, dy, w);
    EXPECT_EQ(Values(dx.end() - 7, dx.end()), (Values{2, -2, -1, 4, -1, -2, 2}));
    EXPECT_EQ(sum_of_squares(dx), 1057);
    Conv2dBackwardFilter weights;
    weights.stride = data.stride;
    weights.padding = data.padding;
    weights.kernel = {1, 3};
    EXPECT_EQ(sum_of_squares(run(weights, x, dy)), 51480);
}

TEST(Conv2dGradients, RotatedFilterGivesTheSameDataGradient) {
    for (int64_t stride : {1, 2}) {
        Conv2dBackwardData plain;
        plain.stride = {stride, stride};
        plain.padding = {1, 0, 1, 2};
        plain.input = {7, 6};
        const int64_t h = (7 + 1 - 3) / stride + 1, w = (6 + 3 - 2) / stride + 1;
        const OpCase op_case{{batched_type({17, h, w}), plain_type({17, 33, 3, 2})}, {}};
        check_lowering(plain, op_case);
        Conv2dBackwardData rotated = plain;
        rotated.rotated = true;
        const std::vector<Tensor> operands = random_operands(op_case);
        const Tensor turned = run_op(RotateFilter(), {operands[1]}, 1)[0];
        EXPECT_EQ(turned.type, plain_type({33, 17, 3, 2}));
        EXPECT_EQ(run_op(plain, operands, 3)[0], run_op(rotated, {operands[0], turned}, 3)[0]);
    }
}

TEST(RotateFilter, AgreesWithTheReferenceAndItsGradient) {
    check_op(std::make_shared<RotateFilter>(), {{plain_type({3, 17, 2, 3})}, {}});
    check_op(std::make_shared<RotateFilter>(), {{plain_type({16, 2, 1, 1})}, {}});
    EXPECT_TRUE(is_inlinable(RotateFilter(), {plain_type({3, 17, 2, 3})}));
}

TEST(Conv2d, CountsMultiplyAdds) {
    const std::vector<TensorType> inputs = {batched_type({3, 32, 32}), plain_type({6, 3, 5, 5})};
    EXPECT_EQ(conv()->infer(inputs)[0], batched_type({6, 28, 28}));
    EXPECT_EQ(conv()->multiply_adds(inputs), 6 * 28 * 28 * 3 * 25);
    Conv2dBackwardData data;
    data.input = {32, 32};
    EXPECT_EQ(data.multiply_adds(std::vector{batched_type({6, 28, 28}), inputs[1]}),
              6 * 28 * 28 * 3 * 25);
    Conv2dBackwardFilter weights;
    weights.kernel = {5, 5};
    EXPECT_EQ(weights.multiply_adds(std::vector{inputs[0], batched_type({6, 28, 28})}),
              6 * 28 * 28 * 3 * 25);
}

}  // namespace
}  // namespace emulsion::test
