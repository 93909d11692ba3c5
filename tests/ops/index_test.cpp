// Reading, summing and the largest at indices: values, gradients through each other, what is
// refused.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "compiler/graph/text.h"
#include "compiler/ops/gather.h"
#include "compiler/ops/scatter_max.h"
#include "compiler/ops/scatter_sum.h"
#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

using reference::Tensor;
using Values = std::vector<double>;

TensorType indices(std::vector<int64_t> shape) {
    return batched_type(std::move(shape), ElementType::i32);
}

std::shared_ptr<Gather> gather(int64_t row = 0, std::vector<int64_t> ignored = {}) {
    return std::make_shared<Gather>(IndexAttributes{row, std::move(ignored)});
}

std::shared_ptr<ScatterSum> scatter_sum(int64_t columns, bool sum_samples = false, int64_t row = 0,
                                        std::vector<int64_t> ignored = {}) {
    auto op = std::make_shared<ScatterSum>(IndexAttributes{row, std::move(ignored)});
    op->columns = columns;
    op->sum_samples = sum_samples;
    return op;
}

std::shared_ptr<ScatterMax> scatter_max(int64_t columns, int64_t row = 0,
                                        std::vector<int64_t> ignored = {}) {
    auto op = std::make_shared<ScatterMax>();
    op->columns = columns;
    op->row = row;
    op->ignored = std::move(ignored);
    return op;
}

TEST(Gather, AgreesWithTheReferenceAndItsGradient) {
    check_op(gather(), {{plain_type({17, 5}), indices({7})}, {}, 3, 5});
    check_op(gather(0, {2}), {{plain_type({32, 3}), indices({4})}, {}, 2, 3});
    check_op(gather(), {{plain_type({1, 1}), indices({1})}, {}, 1, 1});
    check_op(gather(1, {0}), {{batched_type({5, 6}), indices({2, 11})}, {}, 3, 6});
    check_op(gather(), {{batched_type({19, 2}), indices({3})}, {}, 1, 2});
}

TEST(ScatterSum, AgreesWithTheReferenceAndItsGradient) {
    check_op(scatter_sum(5), {{batched_type({17, 9}), indices({9})}, {}, 3, 5});
    check_op(scatter_sum(4, false, 1, {3}), {{batched_type({3, 7}), indices({2, 7})}, {}, 2, 4});
    check_op(scatter_sum(1), {{batched_type({1, 1}), indices({1})}, {}, 1, 1});
    check_op(scatter_sum(6, true), {{batched_type({18, 4}), indices({4})}, {}, 3, 6});
}

TEST(ScatterMax, AgreesWithTheReferenceAndItsGradient) {
    const auto check = [](const std::shared_ptr<ScatterMax>& op, std::vector<TensorType> types,
                          int64_t samples, int64_t classes) {
        check_op(op, {std::move(types), {Fill::separated}, samples, classes});
    };
    check(scatter_max(5), {batched_type({17, 9}), indices({9})}, 3, 5);
    check(scatter_max(4, 1, {3}), {batched_type({3, 7}), indices({2, 7})}, 2, 4);
    check(scatter_max(1), {batched_type({1, 1}), indices({1})}, 1, 1);
    check(scatter_max(11), {batched_type({2, 3}), indices({3})}, 2, 11);
}

// Places 1 and 3 are equal; column 1 is nobody's, and place 2 goes nowhere.
TEST(ScatterMax, TheFirstOfEqualValuesWins) {
    const Tensor values = reference::make_tensor(batched_type({1, 5}), 1, {-7, -2, 9, -2, -1});
    const Tensor index = reference::make_tensor(indices({5}), 1, {0, 0, -1, 0, 2});
    const std::vector<Tensor> y = run_op(*scatter_max(3, 0, {-1}), {values, index}, 1);
    EXPECT_EQ(y[0].values, (Values{-2, 0, -1}));
    EXPECT_EQ(y[1].values, (Values{1, -1, 4}));
    const Tensor dy = reference::make_tensor(batched_type({1, 3}), 1, {10, 20, 30});
    EXPECT_EQ(run_op(ScatterMaxBackward({0, {-1}}), {dy, y[1], index}, 1)[0].values,
              (Values{0, 10, 0, 0, 30}));
}

TEST(ScatterMax, WhatIsNoNumberWins) {
    constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    const Tensor index = reference::make_tensor(indices({3}), 1, {0, 0, 0});
    for (const Values& row : {Values{kNan, 5, 6}, Values{5, kNan, 6}, Values{5, 6, kNan}}) {
        const Tensor values = reference::make_tensor(batched_type({1, 3}), 1, row);
        EXPECT_TRUE(std::isnan(run_op(*scatter_max(1), {values, index}, 1)[0].values[0]));
    }
    const Tensor least = reference::make_tensor(batched_type({1, 3}), 1, Values(3, -kInfinity));
    EXPECT_EQ(run_op(*scatter_max(1), {least, index}, 1)[0].values, Values{-kInfinity});
}

// Columns 2, none, 0 and 2 again, of a table and of what goes back to it.
TEST(Gather, ReadsColumnsAndSumsWhatGoesBack) {
    const Tensor table = reference::make_tensor(plain_type({2, 3}), 1, {1, 2, 3, 4, 5, 6});
    const Tensor index = reference::make_tensor(indices({4}), 1, {2, -1, 0, 2});
    EXPECT_EQ(run_op(*gather(0, {-1}), {table, index}, 1)[0].values,
              (Values{3, 0, 1, 3, 6, 0, 4, 6}));
    const Tensor dy =
        reference::make_tensor(batched_type({2, 4}), 1, {1, 10, 100, 1000, 2, 20, 200, 2000});
    EXPECT_EQ(run_op(*scatter_sum(3, true, 0, {-1}), {dy, index}, 1)[0].values,
              (Values{100, 0, 1001, 200, 0, 2002}));
}

// Whatever stands where an index should: no column, and no address outside.
TEST(Gather, StaysInsideForAnyNumber) {
    const Tensor table = reference::make_tensor(plain_type({1, 3}), 1, {1, 2, 3});
    const Tensor index =
        reference::make_tensor(indices({4}), 1, {3, -7, 2147483647, -2147483648.0});
    EXPECT_EQ(run_op(*gather(), {table, index}, 1)[0].values, (Values{0, 0, 0, 0}));
    const Tensor values = reference::make_tensor(batched_type({1, 4}), 1, {1, 2, 3, 4});
    EXPECT_EQ(run_op(*scatter_sum(3), {values, index}, 1)[0].values, (Values{0, 0, 0}));
    const std::vector<Tensor> y = run_op(*scatter_max(3), {values, index}, 1);
    EXPECT_EQ(y[0].values, (Values{0, 0, 0}));
    EXPECT_EQ(y[1].values, (Values{-1, -1, -1}));
    const Tensor dy = reference::make_tensor(batched_type({1, 3}), 1, {1, 2, 3});
    EXPECT_EQ(run_op(ScatterMaxBackward(), {dy, y[1], index}, 1)[0].values, (Values{0, 0, 0, 0}));
}

TEST(Index, KnowsItsLimit) {
    const std::vector<TensorType> types = {plain_type({4, 9}), indices({3})};
    EXPECT_EQ(gather()->index_limit(1, types), 9);
    EXPECT_EQ(gather()->index_limit(0, types), 0);
    EXPECT_EQ(gather(0, {-1})->ignored_index(1), -1);
    EXPECT_EQ(gather()->ignored_index(1), std::nullopt);
    EXPECT_EQ(scatter_sum(6)->index_limit(1, types), 6);
    EXPECT_EQ(scatter_max(6)->index_limit(1, types), 6);
    EXPECT_EQ(scatter_max(6, 0, {-1})->ignored_index(1), -1);
    EXPECT_EQ(print_attributes(*scatter_max(6, 0, {-1})), "{columns=6, row=0, ignored=[-1]}");
    EXPECT_EQ(print_attributes(*scatter_sum(6, true, 0, {-1})),
              "{columns=6, sum_samples=true, row=0, ignored=[-1]}");
}

TEST(Index, RefusesWhatIsNone) {
    const TensorType table = plain_type({4, 9});
    EXPECT_EQ(
        node_error(gather(), {batched_type({4, 9, 1}), indices({3})}),
        R"(net.cpp:7: error[rank]: gather 'it': the columns must be a parameter (channels, columns) or of each sample (n, channels, columns), but are f32[n,4,9,1]
    operand 'a' f32[n,4,9,1] from net.cpp:1
    operand 'b' i32[n,3] from net.cpp:2
  fix: give it a tensor with these two axes)");
    EXPECT_EQ(
        node_error(gather(), {table, batched_type({3})}),
        R"(net.cpp:7: error[index]: gather 'it': the index must be i32[n,length] or i32[n,rows,length], but is f32[n,3]
    operand 'a' f32[4,9] from net.cpp:1
    operand 'b' f32[n,3] from net.cpp:2
  fix: give it an input of indices)");
    EXPECT_EQ(
        node_error(gather(2), {table, indices({2, 3})}),
        R"(net.cpp:7: error[attribute]: gather 'it': row 2 of the index is asked for, but i32[n,2,3] has 2
    operand 'a' f32[4,9] from net.cpp:1
    operand 'b' i32[n,2,3] from net.cpp:2
  fix: choose a row from 0 to 1)");
    EXPECT_EQ(
        node_error(gather(0, {1, 2}), {table, indices({3})}),
        R"(net.cpp:7: error[attribute]: gather 'it': 2 indices are to be ignored, but one can be
    operand 'a' f32[4,9] from net.cpp:1
    operand 'b' i32[n,3] from net.cpp:2
  fix: give what does not count one index)");
    EXPECT_EQ(
        node_error(gather(), {table, indices({})}),
        R"(net.cpp:7: error[index]: gather 'it': the index must be i32[n,length] or i32[n,rows,length], but is i32[n]
    operand 'a' f32[4,9] from net.cpp:1
    operand 'b' i32[n] from net.cpp:2
  fix: give it an input of indices)");
}

TEST(ScatterSum, RefusesValuesOfAnotherLength) {
    EXPECT_EQ(
        node_error(scatter_sum(5), {batched_type({4, 3}), indices({2, 7})}),
        R"(net.cpp:7: error[shape]: scatter_sum 'it': the values have 3 columns, but there are 7 indices
    operand 'a' f32[n,4,3] from net.cpp:1
    operand 'b' i32[n,2,7] from net.cpp:2
  fix: give it 7 columns)");
    EXPECT_EQ(
        node_error(scatter_sum(5), {batched_type({4}), indices({7})}),
        R"(net.cpp:7: error[rank]: scatter_sum 'it': the values must be (n, channels, length), but are f32[n,4]
    operand 'a' f32[n,4] from net.cpp:1
    operand 'b' i32[n,7] from net.cpp:2
  fix: give it one column of channels for each index)");
    EXPECT_EQ(node_error(scatter_sum(0), {batched_type({4, 7}), indices({7})}),
              R"(net.cpp:7: error[attribute]: scatter_sum 'it': the number of columns is 0
    operand 'a' f32[n,4,7] from net.cpp:1
    operand 'b' i32[n,7] from net.cpp:2
  fix: give it one column or more)");
}

TEST(ScatterMax, RefusesWhatDoesNotBelongTogether) {
    EXPECT_EQ(
        node_error(scatter_max(5), {batched_type({4, 3}), indices({2, 7})}),
        R"(net.cpp:7: error[shape]: scatter_max 'it': the values have 3 columns, but there are 7 indices
    operand 'a' f32[n,4,3] from net.cpp:1
    operand 'b' i32[n,2,7] from net.cpp:2
  fix: give it 7 columns)");
    EXPECT_EQ(node_error(scatter_max(0), {batched_type({4, 7}), indices({7})}),
              R"(net.cpp:7: error[attribute]: scatter_max 'it': the number of columns is 0
    operand 'a' f32[n,4,7] from net.cpp:1
    operand 'b' i32[n,7] from net.cpp:2
  fix: give it one column or more)");
    const auto backward = std::make_shared<ScatterMaxBackward>();
    EXPECT_EQ(
        node_error(backward, {batched_type({4, 3}), indices({4, 2}), indices({7})}),
        R"(net.cpp:7: error[shape]: scatter_max_backward 'it': the winner is i32[n,4,2], but the gradient f32[n,4,3] needs i32[n,4,3]
    operand 'a' f32[n,4,3] from net.cpp:1
    operand 'b' i32[n,4,2] from net.cpp:2
    operand 'c' i32[n,7] from net.cpp:3
  fix: give it the second result of the scatter_max it belongs to)");
    EXPECT_EQ(
        node_error(backward, {batched_type({4}), indices({4}), indices({7})}),
        R"(net.cpp:7: error[rank]: scatter_max_backward 'it': the gradient must be (n, channels, columns), but is f32[n,4]
    operand 'a' f32[n,4] from net.cpp:1
    operand 'b' i32[n,4] from net.cpp:2
    operand 'c' i32[n,7] from net.cpp:3
  fix: give it the gradient of a scatter_max)");
}

}  // namespace
}  // namespace emulsion::test
