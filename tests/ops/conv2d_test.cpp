// Convolution and its two gradients: lowering, gradient, shapes, and cases with known values.
#include "compiler/ops/conv2d.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "compiler/ops/rotate_filter.h"
#include "compiler/ops/sources.h"
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

TEST(Conv2d, GroupsAgreeWithTheReferenceAndItsGradient) {
    const auto check = [](std::shared_ptr<Conv2d> op, int64_t groups, int64_t c, int64_t o) {
        op->groups = groups;
        check_op(op, {{batched_type({c, 6, 5}), plain_type({o, c / groups, 3, 2})}, {}});
    };
    check(conv(), 2, 4, 6);
    check(conv({2, 1}, {0, 1, 2, 1}), 3, 6, 3);
    check(conv({1, 1}, {1, 1, 1, 0}), 5, 5, 5);     // depthwise
    check(conv({1, 2}, {1, 1, 1, 0}), 3, 3, 9);     // three filters a channel
    check(conv({2, 2}, {1, 1, 1, 0}), 17, 17, 34);  // over a block of lanes
    check(conv({1, 1}, {2, 2, 1, 1}, {2, 2}), 17, 34, 17);
}

// Two groups are two convolutions, side by side.
TEST(Conv2d, GroupsByHand) {
    const Tensor x = map(4, 1, 2, {1, 2, 3, 4, 5, 6, 7, 8});
    const Tensor w = filter(2, 2, 1, 1, {1, 10, 100, 1000});
    auto op = conv();
    op->groups = 2;
    EXPECT_EQ(run(*op, x, w), (Values{31, 42, 7500, 8600}));
    const Tensor dy = map(2, 1, 2, {1, 2, 3, 4});
    Conv2dBackwardData data;
    data.input = {1, 2};
    data.groups = 2;
    EXPECT_EQ(run(data, dy, w), (Values{1, 2, 10, 20, 300, 400, 3000, 4000}));
    Conv2dBackwardFilter weights;
    weights.groups = 2;
    EXPECT_EQ(run(weights, x, dy), (Values{5, 11, 39, 53}));
}

// Depthwise: the known parameter count of 64 channels, and its multiply-adds.
TEST(Conv2d, GroupsCountTheirMultiplyAdds) {
    Conv2d op;
    op.groups = 64;
    op.padding = {1, 1, 1, 1};
    EXPECT_EQ(op.multiply_adds(std::vector{batched_type({64, 8, 8}), plain_type({64, 1, 3, 3})}),
              64 * 9 * 64);
    Conv2dBackwardFilter weights;
    static_cast<ConvAttributes&>(weights) = op;
    weights.kernel = {3, 3};
    EXPECT_EQ(
        weights.multiply_adds(std::vector{batched_type({64, 8, 8}), batched_type({64, 8, 8})}),
        64 * 9 * 64);
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

// The sums of an unnormalised picture cancel; direct convolution keeps their digits.
TEST(Conv2d, LargeNumbersThatCancel) {  // case C6
    Values x;
    for (int i = 0; i < 10; i++)
        for (int j = 0; j < 10; j++) x.push_back(60000 + (i * 7 + j * 3) % 5);
    const Values y =
        run(*conv(), map(1, 10, 10, x), filter(1, 1, 3, 3, {0, -1, 0, -1, 4, -1, 0, -1, 0}));
    const Values first = {-10, 10, -10, 10, 0, -10, 10, -10};
    double squares = 0;
    for (size_t i = 0; i < y.size(); i++) {
        if (i < first.size()) {
            EXPECT_NEAR(y[i], first[i], 0.05);
        }
        EXPECT_NEAR(y[i], 10 * std::round(y[i] / 10), 0.05);
        squares += std::pow(10 * std::round(y[i] / 10), 2);
    }
    EXPECT_EQ(squares, 5100);
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

// ---- The data gradient as a transposed convolution ----

std::shared_ptr<Conv2dBackwardData> transposed(std::vector<int64_t> input,
                                               std::vector<int64_t> stride = {1, 1},
                                               std::vector<int64_t> padding = {0, 0, 0, 0},
                                               std::vector<int64_t> dilation = {1, 1}) {
    auto op = std::make_shared<Conv2dBackwardData>();
    op->input = std::move(input);
    op->stride = std::move(stride);
    op->padding = std::move(padding);
    op->dilation = std::move(dilation);
    return op;
}

TEST(TransposedConv2d, AgreesWithTheReferenceAndItsGradient) {
    check_op(transposed({4, 5}), {{batched_type({3, 2, 3}), plain_type({3, 2, 3, 3})}, {}});
    check_op(transposed({7, 6}, {2, 2}, {1, 0, 1, 2}),
             {{batched_type({2, 3, 4}), plain_type({2, 17, 3, 2})}, {}});
    check_op(transposed({9, 8}, {1, 2}, {0, 0, 1, 1}, {2, 3}),
             {{batched_type({4, 5, 2}), plain_type({4, 1, 3, 3})}, {}});
}

TEST(TransposedConv2d, SameWithAnOddKernel) {  // case C7
    EXPECT_EQ(run(*transposed({1, 6}, {1, 2}, {0, 0, 0, 1}), map(1, 1, 3, {1, 2, 3}),
                  filter(1, 1, 1, 3, {1, 10, 100})),
              (Values{1, 10, 102, 20, 203, 30}));
}

TEST(TransposedConv2d, UnevenPadding) {  // case C8, pads 2 and 1
    EXPECT_EQ(run(*transposed({1, 5}, {1, 2}, {0, 0, 2, 1}), map(1, 1, 3, {1, 2, 3}),
                  filter(1, 1, 1, 4, {1, 2, 3, 4})),
              (Values{5, 8, 9, 14, 9}));
}

// The forward convolution of the result has the size of the operand: 5, or 6 with one row of output
// padding; 7 rows would be of another operand.
TEST(TransposedConv2d, WhichSizesThereAre) {  // case C10
    const std::vector<TensorType> inputs = {batched_type({1, 2, 2}), plain_type({1, 1, 3, 3})};
    for (int64_t size : {5, 6})
        EXPECT_EQ(transposed({size, size}, {2, 2})->infer(inputs)[0],
                  batched_type({1, size, size}));
    EXPECT_EQ(node_error(transposed({7, 7}, {2, 2}), inputs),
              "net.cpp:7: error[shape]: conv2d_backward_data 'it': the gradient is f32[n,1,2,2], "
              "but the result it belongs to is f32[n,1,3,3]\n"
              "    operand 'a' f32[n,1,2,2] from net.cpp:1\n"
              "    operand 'b' f32[1,1,3,3] from net.cpp:2\n"
              "  fix: give it the gradient of the result these attributes describe");
}

// Values and both gradients, which a wrong pairing of stride and dilation would change.
TEST(TransposedConv2d, StrideAndDilation) {  // case c205
    for (int64_t width : {8, 9}) {
        const auto op = transposed({1, width}, {1, 2}, {0, 0, 0, 0}, {1, 3});
        const Tensor x = map(1, 1, 3, {1, 2, 3}), w = filter(1, 1, 1, 2, {1, 10});
        Values expected = {1, 0, 2, 10, 3, 20, 0, 30};
        if (width == 9) expected.push_back(0);
        EXPECT_EQ(run(*op, x, w), expected);

        GraphBuilder builder("gradient");
        const Value vx = builder.add(std::make_shared<Input>(x.type), {}, "x");
        const Value vw = builder.add(std::make_shared<Parameter>(w.type), {}, "w");
        const Value vdy =
            builder.add(std::make_shared<Input>(batched_type({1, 1, width})), {}, "dy");
        const Value y = builder.add(op, {vx, vw}, "y");
        GradientContext context{builder, "y", {vx, vw}, {y}, {vdy}, {true, true}};
        const std::vector<Value> gradients = op->gradient(context);
        builder.output("dx", gradients[0]);
        builder.output("dw", gradients[1]);
        const Graph graph = builder.build();
        const reference::Values values = run_graph(
            graph,
            {{"x", x}, {"w", w}, {"dy", map(1, 1, width, counted(1, static_cast<int>(width)))}}, 1);
        EXPECT_EQ(values[static_cast<size_t>(gradients[0].node)][0].values, (Values{41, 63, 85}));
        EXPECT_EQ(values[static_cast<size_t>(gradients[1].node)][0].values, (Values{22, 40}));
    }
}

// Convolution and transposed convolution are adjoint: both products are -93.
TEST(TransposedConv2d, IsTheAdjoint) {  // case G4
    const Tensor x = map(2, 1, 9, seq(18)), y = map(3, 1, 3, seq(9, 7, 5, 3));
    const Tensor w = filter(3, 2, 1, 4, seq(24, 5, 3, 2));
    const auto dot = [](const Values& a, const Values& b) {
        double sum = 0;
        for (size_t i = 0; i < a.size(); i++) sum += a[i] * b[i];
        return sum;
    };
    const Values forward = run(*conv({1, 2}), x, w);
    const Values back = run(*transposed({1, 9}, {1, 2}), y, w);
    EXPECT_EQ(dot(forward, y.values), -93);
    EXPECT_EQ(dot(x.values, back), -93);
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
