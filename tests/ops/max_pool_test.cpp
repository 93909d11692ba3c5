// Max pooling: values, winners, gradient.
#include "compiler/ops/max_pool.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

using reference::Tensor;
using Values = std::vector<double>;

std::shared_ptr<MaxPool> pool(std::vector<int64_t> window, std::vector<int64_t> stride,
                              std::vector<int64_t> padding = {0, 0, 0, 0}, bool ceil = false) {
    auto op = std::make_shared<MaxPool>();
    op->window = std::move(window);
    op->stride = std::move(stride);
    op->padding = std::move(padding);
    op->ceil = ceil;
    return op;
}

Tensor map(int64_t h, int64_t w, Values values) {
    return reference::make_tensor(batched_type({1, h, w}), 1, std::move(values));
}

void check(const std::shared_ptr<MaxPool>& op, int64_t c, int64_t h, int64_t w) {
    check_op(op, {{batched_type({c, h, w})}, {Fill::separated}, /*samples=*/2});
}

TEST(MaxPool, AgreesWithTheReferenceAndItsGradient) {
    check(pool({2, 2}, {2, 2}), 3, 4, 6);
    check(pool({2, 2}, {2, 2}), 2, 5, 5);
    check(pool({3, 3}, {2, 2}, {1, 1, 1, 1}), 2, 6, 7);
    check(pool({3, 2}, {1, 1}, {0, 1, 1, 0}), 17, 4, 4);
    check(pool({2, 3}, {3, 2}), 2, 7, 8);
    check(pool({2, 2}, {2, 2}, {0, 0, 0, 0}, /*ceil=*/true), 2, 5, 7);
    check(pool({3, 3}, {2, 2}, {1, 0, 0, 2}, /*ceil=*/true), 1, 4, 5);
    check(pool({5, 5}, {1, 1}, {4, 4, 4, 4}), 1, 2, 1);
}

TEST(MaxPool, PaddingNeverWins) {  // case P2
    EXPECT_EQ(
        run_op(*pool({3, 3}, {1, 1}, {1, 1, 1, 1}), {map(2, 3, {-5, -3, -9, -7, -8, -2})}, 1)[0]
            .values,
        (Values{-3, -2, -2, -3, -2, -2}));
}

TEST(MaxPool, WhatIsNoNumberWins) {  // case P3
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const std::vector<Tensor> y =
        run_op(*pool({1, 2}, {1, 2}),
               {reference::make_tensor(batched_type({3, 1, 4}), 1,
                                       {1, nan, 3, 4, 1, nan, 3, 4, 1, 2, 3, 4})},
               1);
    for (size_t channel : {0, 1}) {
        EXPECT_TRUE(std::isnan(y[0].values[2 * channel])) << channel;
        EXPECT_EQ(y[0].values[2 * channel + 1], 4);
    }
    EXPECT_EQ(Values(y[0].values.end() - 2, y[0].values.end()), (Values{2, 4}));
    for (size_t place = 0; place < 9; place++) {
        for (size_t second = place; second < 9; second++) {
            Values x = {3, -1, 4, 1, -5, 9, 2, 6, 5};
            x[place] = x[second] = nan;
            const std::vector<Tensor> one = run_op(*pool({3, 3}, {3, 3}), {map(3, 3, x)}, 1);
            EXPECT_TRUE(std::isnan(one[0].values[0])) << place << ", " << second;
        }
    }
}

TEST(MaxPool, RectangularWindow) {  // case P5
    Values x;
    for (int i = 0; i < 35; i++) x.push_back(i * 8 % 37);
    Values y = run_op(*pool({1, 2}, {1, 2}), {map(5, 7, x)}, 1)[0].values;
    y.resize(6);
    EXPECT_EQ(y, (Values{8, 24, 32, 27, 35, 22}));
}

// A window that would begin in the right padding is dropped.
TEST(MaxPool, NoWindowBeginsInThePadding) {  // case c199
    EXPECT_EQ(run_op(*pool({1, 2}, {1, 3}, {0, 0, 1, 1}, true), {map(1, 4, {-5, -9, -2, -7})}, 1)[0]
                  .values,
              (Values{-5, -2}));
}

TEST(MaxPool, WorkedExample) {
    const Tensor x = map(4, 4, {1, 3, 2, 0, 0, 5, 1, 1, 3, 0, 1, 4, 0, 0, 7, 1});
    EXPECT_EQ(run_op(*pool({2, 2}, {2, 2}), {x}, 1)[0].values, (Values{5, 2, 3, 7}));
    EXPECT_EQ(run_op(*pool({3, 3}, {1, 1}), {x}, 1)[0].values, (Values{5, 5, 7, 7}));
}

TEST(MaxPool, FirstOfEqualMaximaWins) {  // case G2
    const Tensor x = map(2, 2, {1, 2, 2, 2});
    const std::vector<Tensor> y = run_op(*pool({2, 2}, {2, 2}), {x}, 1);
    EXPECT_EQ(y[1].values, (Values{1}));
    MaxPoolBackward backward;
    backward.input = {2, 2};
    EXPECT_EQ(run_op(backward, {map(1, 1, {1}), y[1]}, 1)[0].values, (Values{0, 1, 0, 0}));
    const std::vector<Tensor> flat =
        run_op(*pool({3, 3}, {1, 1}, {1, 1, 1, 1}), {map(2, 2, {7, 7, 7, 7})}, 1);
    EXPECT_EQ(flat[1].values, (Values{4, 3, 1, 0}));  // each window's first cell inside the map
}

TEST(MaxPool, OverlappingWindowsShareAWinner) {  // the kind of case G2, in one dimension
    const std::vector<Tensor> y = run_op(*pool({1, 3}, {1, 1}), {map(1, 6, {2, 7, 7, 1, 7, 3})}, 1);
    MaxPoolBackward backward;
    backward.window = {1, 3};
    backward.stride = {1, 1};
    backward.input = {1, 6};
    EXPECT_EQ(run_op(backward, {map(1, 4, {1, 2, 4, 8}), y[1]}, 1)[0].values,
              (Values{0, 3, 4, 0, 8, 0}));
}

TEST(MaxPool, LargestWindowOfOneByte) {
    Values x(256, 0);
    x[255] = 1;
    const std::vector<Tensor> y = run_op(*pool({16, 16}, {16, 16}), {map(16, 16, x)}, 1);
    EXPECT_EQ(y[0].values, (Values{1}));
    EXPECT_EQ(y[1].values, (Values{255}));
}

// Indices name cells of windows that lie inside the map.
TEST(MaxUnpool, AgreesWithTheReferenceAndItsGradient) {
    const auto check = [](const std::vector<int64_t>& window, const std::vector<int64_t>& stride,
                          const TensorType& value, const std::vector<int64_t>& input) {
        auto unpool = std::make_shared<MaxPoolBackward>();
        unpool->window = window;
        unpool->stride = stride;
        unpool->input = input;
        TensorType index = value;
        index.element = ElementType::u8;
        const int64_t taps = window[0] * window[1];
        check_op(unpool, {{value, index}, {Fill::normal, Fill::labels}, 2, taps});
        auto winners = std::make_shared<MaxPoolWinners>();
        static_cast<PoolAttributes&>(*winners) = *unpool;
        const TensorType map = batched_type({value.shape[0], input[0], input[1]});
        check_op(winners, {{map, index}, {Fill::normal, Fill::labels}, 2, taps});
        EXPECT_TRUE(is_inlinable(*winners, {map, index}));
    };
    check({2, 2}, {2, 2}, batched_type({3, 2, 3}), {4, 6});
    check({2, 3}, {1, 2}, batched_type({17, 3, 2}), {4, 5});
}

// What is taken apart comes together again.
TEST(MaxUnpool, WinnersOfAnUnpooledMap) {
    const Tensor x = map(4, 4, {1, 3, 2, 0, 0, 5, 1, 1, 3, 0, 1, 4, 0, 0, 7, 1});
    const std::vector<Tensor> y = run_op(*pool({2, 2}, {2, 2}), {x}, 1);
    MaxPoolBackward unpool;
    unpool.input = {4, 4};
    const Tensor apart = run_op(unpool, y, 1)[0];
    EXPECT_EQ(apart.values, (Values{0, 0, 2, 0, 0, 5, 0, 0, 3, 0, 0, 0, 0, 0, 7, 0}));
    EXPECT_EQ(run_op(MaxPoolWinners(), {apart, y[1]}, 1)[0].values, y[0].values);
}

TEST(MaxPool, IsInlinable) {
    EXPECT_TRUE(is_inlinable(*pool({3, 3}, {2, 2}, {1, 1, 1, 1}), {batched_type({3, 8, 8})}));
    MaxPoolBackward backward;
    backward.input = {8, 8};
    const std::vector<TensorType> inputs = {batched_type({3, 4, 4}),
                                            batched_type({3, 4, 4}, ElementType::u8)};
    EXPECT_TRUE(is_inlinable(backward, inputs));
    EXPECT_EQ(backward.op_class(), OpClass::gather);
    backward.input = {9, 8};
    EXPECT_EQ(backward.op_class(), OpClass::window);
    EXPECT_TRUE(pool({2, 2}, {2, 2})->tiles(batched_type({3, 8, 8})));
    EXPECT_FALSE(pool({2, 2}, {2, 2})->tiles(batched_type({3, 9, 8})));
    EXPECT_FALSE(pool({3, 3}, {2, 2})->tiles(batched_type({3, 9, 9})));
}

}  // namespace
}  // namespace emulsion::test
