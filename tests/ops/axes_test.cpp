// Convolutions and poolings of lines (C, L) and volumes (C, D, H, W): against loops in double
// precision, gradients against differences, known values, what is refused.
#include <gtest/gtest.h>

#include "compiler/ops/add_map.h"
#include "compiler/ops/average_pool.h"
#include "compiler/ops/conv2d.h"
#include "compiler/ops/flatten.h"
#include "compiler/ops/fold_filter.h"
#include "compiler/ops/max_pool.h"
#include "compiler/ops/phase_filter.h"
#include "compiler/ops/rotate_filter.h"
#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

using reference::make_tensor;
using Numbers = std::vector<int64_t>;
using Values = std::vector<double>;

template <class T>
std::shared_ptr<T> conv(Numbers stride, Numbers dilation, Numbers padding, int64_t groups = 1) {
    auto op = std::make_shared<T>();
    op->stride = std::move(stride);
    op->dilation = std::move(dilation);
    op->padding = std::move(padding);
    op->groups = groups;
    return op;
}

template <class T>
std::shared_ptr<T> pool(Numbers window, Numbers stride, Numbers padding, bool ceil = false) {
    auto op = std::make_shared<T>();
    op->window = std::move(window);
    op->stride = std::move(stride);
    op->padding = std::move(padding);
    op->ceil = ceil;
    return op;
}

TEST(Lines, ConvolutionsAgreeWithTheReference) {
    check_op(conv<Conv2d>({1}, {1}, {0, 0}), {{batched_type({3, 7}), plain_type({17, 3, 3})}, {}});
    check_op(conv<Conv2d>({2}, {2}, {1, 3}), {{batched_type({2, 11}), plain_type({4, 2, 3})}, {}});
    check_op(conv<Conv2d>({3}, {1}, {2, 0}, 3),
             {{batched_type({6, 5}), plain_type({3, 2, 2})}, {}});
    check_op(conv<Conv2d>({1}, {1}, {0, 0}), {{batched_type({19, 1}), plain_type({2, 19, 1})}, {}});
    auto transposed = conv<Conv2dBackwardData>({2}, {1}, {1, 0});
    transposed->input = {8};
    check_op(transposed, {{batched_type({5, 4}), plain_type({5, 2, 3})}, {}});
}

TEST(Volumes, ConvolutionsAgreeWithTheReference) {
    check_op(conv<Conv2d>({1, 1, 1}, {1, 1, 1}, {1, 1, 1, 1, 1, 1}),
             {{batched_type({2, 3, 4, 3}), plain_type({3, 2, 3, 3, 3})}, {}, /*samples=*/2});
    check_op(conv<Conv2d>({2, 1, 2}, {1, 2, 1}, {0, 1, 2, 0, 1, 1}, 2),
             {{batched_type({4, 5, 3, 4}), plain_type({2, 2, 2, 2, 3})}, {}, /*samples=*/2});
    auto transposed = conv<Conv2dBackwardData>({2, 1, 2}, {1, 1, 1}, {0, 0, 1, 1, 0, 1});
    transposed->input = {4, 3, 4};
    check_op(transposed, {{batched_type({3, 2, 3, 2}), plain_type({3, 2, 2, 3, 3})}, {}, 2});
}

// f(x, y, z) = x + 10 y + 100 z under a filter of ones.
TEST(Volumes, AConvolutionByHand) {
    const Values x = {0, 1, 10, 11, 100, 101, 110, 111};
    const Values y = run_op(*conv<Conv2d>({1, 1, 1}, {1, 1, 1}, {0, 0, 0, 0, 0, 1}),
                            {make_tensor(batched_type({1, 2, 2, 2}), 1, x),
                             make_tensor(plain_type({1, 1, 2, 1, 2}), 1, {1, 2, 3, 4})},
                            1)[0]
                         .values;
    EXPECT_EQ(y, (Values{0 + 2 + 300 + 404, 1 + 303, 10 + 22 + 330 + 444, 11 + 333}));
}

TEST(Lines, PoolingsAgreeWithTheReference) {
    const OpCase line = {{batched_type({3, 9})}, {Fill::separated}, /*samples=*/2};
    check_op(pool<MaxPool>({2}, {2}, {0, 0}), line);
    check_op(pool<MaxPool>({3}, {2}, {1, 2}, /*ceil=*/true), line);
    check_op(pool<AveragePool>({2}, {3}, {0, 0}), line);
    check_op(pool<AveragePool>({4}, {1}, {3, 1}), line);
    check_op(pool<AveragePool>({40}, {2}, {39, 0}), {{batched_type({17, 9})}, {}});
}

TEST(Volumes, PoolingsAgreeWithTheReference) {
    const OpCase volume = {{batched_type({2, 4, 3, 5})}, {Fill::separated}, /*samples=*/2};
    check_op(pool<MaxPool>({2, 1, 2}, {2, 1, 2}, {0, 0, 0, 0, 0, 0}), volume);
    check_op(pool<MaxPool>({3, 2, 2}, {1, 2, 1}, {1, 2, 0, 1, 1, 0}, /*ceil=*/true), volume);
    check_op(pool<AveragePool>({2, 3, 2}, {1, 1, 2}, {1, 0, 0, 2, 0, 1}), volume);
    check_op(pool<AveragePool>({4, 3, 5}, {1, 1, 1}, {3, 3, 2, 0, 0, 4}), volume);  // in loops
}

TEST(Lines, WinnersAndUnpooling) {
    auto unpool = pool<MaxPoolBackward>({2}, {2}, {0, 0});
    unpool->input = {4};
    const auto x = make_tensor(batched_type({1, 4}), 1, {5, 7, 9, 8});
    const auto y = run_op(*pool<MaxPool>({2}, {2}, {0, 0}), {x}, 1);
    EXPECT_EQ(y[0].values, (Values{7, 9}));
    EXPECT_EQ(y[1].values, (Values{1, 0}));
    EXPECT_EQ(run_op(*unpool, {y[0], y[1]}, 1)[0].values, (Values{0, 7, 9, 0}));
    EXPECT_EQ(run_op(*pool<MaxPoolWinners>({2}, {2}, {0, 0}), {x, y[1]}, 1)[0].values, y[0].values);
}

TEST(Volumes, TheLargestWindowOfOneByte) {
    EXPECT_EQ(
        node_error(pool<MaxPool>({8, 8, 8}, {1, 1, 1}, Numbers(6, 0)),
                   {batched_type({1, 9, 9, 9})}),
        R"(net.cpp:7: error[window]: max_pool 'it': the window 8x8x8 has 512 cells, but the winner's number is kept in one byte, up to 256
    operand 'a' f32[n,1,9,9,9] from net.cpp:1
  fix: use two poolings in a row, or a window of at most 6x6x6)");
}

TEST(Axes, FiltersOfPhases) {
    const auto of_stride = [](Numbers stride) {
        PhaseFilter op;
        op.stride = std::move(stride);
        return op;
    };
    check_lowering(of_stride({3}), {{plain_type({17, 2, 7})}, {}});
    check_lowering(of_stride({2, 3}), {{plain_type({3, 17, 4, 2})}, {}});
    check_lowering(of_stride({1, 2, 2}), {{plain_type({2, 3, 2, 1, 3})}, {}});
    EXPECT_EQ(run_op(of_stride({2}), {make_tensor(plain_type({1, 1, 5}), 1, {1, 2, 3, 4, 5})}, 1)[0]
                  .values,
              (Values{5, 3, 1, 0, 4, 2}));
}

TEST(Axes, FiltersTurnedRoundAndFolded) {
    check_op(std::make_shared<RotateFilter>(), {{plain_type({3, 17, 4})}, {}});
    check_op(std::make_shared<RotateFilter>(2), {{plain_type({4, 3, 2, 1, 3})}, {}});
    for (const bool interleaved : {false, true}) {
        check_op(std::make_shared<FoldFilter>(interleaved), {{plain_type({17, 3, 2, 1, 3})}, {}});
        check_op(std::make_shared<UnfoldFilter>(3, interleaved), {{plain_type({2, 6, 2, 2})}, {}});
    }
    EXPECT_EQ(
        run_op(FoldFilter(true), {make_tensor(plain_type({1, 2, 2, 1, 1}), 1, {1, 2, 3, 4})}, 1)[0]
            .values,
        (Values{1, 2, 3, 4}));
    EXPECT_EQ(
        run_op(FoldFilter(), {make_tensor(plain_type({1, 2, 2, 1, 1}), 1, {1, 2, 3, 4})}, 1)[0]
            .values,
        (Values{1, 3, 2, 4}));
}

TEST(Axes, FiltersSeenAlongOtherAxes) {
    auto view = std::make_shared<View>();
    view->shape = {17, 3, 1, 4};
    check_op(view, {{plain_type({17, 3, 4})}, {}});
    const auto w = random_operands({{plain_type({17, 3, 4})}, {}})[0];
    EXPECT_EQ(reference::pack(run_op(*view, {w}, 1)[0]), reference::pack(w));
    EXPECT_EQ(
        node_error(view, {plain_type({3, 17, 4})}),
        R"(net.cpp:7: error[shape]: view 'it': [17,3,1,4] is no view of f32[3,17,4]: it must have the same filters and channels, and as many taps
    operand 'a' f32[3,17,4] from net.cpp:1
  fix: give it the first two numbers of the filter)");
}

TEST(Axes, UntiedBiases) {
    check_op(std::make_shared<AddMap>(), {{batched_type({17, 5}), plain_type({17, 5})}, {}});
    check_op(std::make_shared<AddMap>(),
             {{batched_type({3, 2, 4, 3}), plain_type({3, 2, 4, 3})}, {}});
}

TEST(Axes, RefusalsNameTheAxes) {
    const auto line = conv<Conv2d>({1}, {1}, {0, 0});
    EXPECT_EQ(
        node_error(line, {batched_type({2, 6}), plain_type({4, 2, 3, 3})}),
        R"(net.cpp:7: error[rank]: conv2d 'it': the filter must be a parameter (out, in, k), but is f32[4,2,3,3]
    operand 'a' f32[n,2,6] from net.cpp:1
    operand 'b' f32[4,2,3,3] from net.cpp:2
  fix: give it a parameter with 3 axes)");
    EXPECT_EQ(node_error(line, {batched_type({2, 6}), plain_type({4, 2, 7})}),
              R"(net.cpp:7: error[window]: conv2d 'it': the filter of 7 is larger than its input 6
    operand 'a' f32[n,2,6] from net.cpp:1
    operand 'b' f32[4,2,7] from net.cpp:2
  fix: use a filter of at most 6, or pad the input to at least 7)");
    EXPECT_EQ(node_error(std::make_shared<Conv2d>(), {batched_type({2, 6}), plain_type({4, 2, 3})}),
              R"(net.cpp:7: error[attribute]: conv2d 'it': stride needs 1 number, but is [1,1]
    operand 'a' f32[n,2,6] from net.cpp:1
    operand 'b' f32[4,2,3] from net.cpp:2
  fix: give stride=[length])");
    const auto volume = conv<Conv2d>({1, 1, 1}, {1, 1, 1}, {0, 0, 0, 0});
    EXPECT_EQ(node_error(volume, {batched_type({2, 4, 4, 4}), plain_type({4, 2, 3, 3, 3})}),
              R"(net.cpp:7: error[attribute]: conv2d 'it': padding needs 6 numbers, but is [0,0,0,0]
    operand 'a' f32[n,2,4,4,4] from net.cpp:1
    operand 'b' f32[4,2,3,3,3] from net.cpp:2
  fix: give padding=[front,back,top,bottom,left,right])");
    auto backward = conv<Conv2dBackwardData>({1, 1, 1}, {1, 1, 1}, Numbers(6, 0));
    EXPECT_EQ(
        node_error(backward, {batched_type({4, 2, 2, 2}), plain_type({4, 2, 3, 3, 3})}),
        R"(net.cpp:7: error[attribute]: conv2d_backward_data 'it': input must be a depth, a height and a width
    operand 'a' f32[n,4,2,2,2] from net.cpp:1
    operand 'b' f32[4,2,3,3,3] from net.cpp:2
  fix: give input=[depth,height,width])");
    EXPECT_EQ(
        node_error(pool<AveragePool>({2}, {1}, {2, 0}), {batched_type({2, 6})}),
        R"(net.cpp:7: error[padding]: average_pool 'it': the padding 2 is as wide as the window 2 along the length: a window would hold no cell of the map
    operand 'a' f32[n,2,6] from net.cpp:1
  fix: pad at most 1 per side, or use a window of at least 3)");
    EXPECT_EQ(
        node_error(std::make_shared<UnfoldFilter>(4, false), {plain_type({2, 6, 3, 3})}),
        R"(net.cpp:7: error[attribute]: unfold_filter 'it': 6 channels cannot hold 4 taps each in depth
    operand 'a' f32[2,6,3,3] from net.cpp:1
  fix: choose a depth that divides the channels)");
}

TEST(Axes, MultiplyAdds) {
    const std::vector<TensorType> line = {batched_type({4, 9}), plain_type({8, 4, 3})};
    EXPECT_EQ(conv<Conv2d>({1}, {1}, {1, 1})->multiply_adds(line), 8 * 4 * 3 * 9);
    const std::vector<TensorType> volume = {batched_type({2, 3, 4, 5}),
                                            plain_type({4, 2, 3, 3, 3})};
    EXPECT_EQ(conv<Conv2d>({1, 1, 1}, {1, 1, 1}, Numbers(6, 1))->multiply_adds(volume),
              4 * 2 * 27 * 60);
}

}  // namespace
}  // namespace emulsion::test
