// Average pooling: which cells count, gradient.
#include "compiler/ops/average_pool.h"

#include <gtest/gtest.h>

#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

using reference::Tensor;
using Values = std::vector<double>;

std::shared_ptr<AveragePool> pool(std::vector<int64_t> window, std::vector<int64_t> stride,
                                  std::vector<int64_t> padding = {0, 0, 0, 0}, bool ceil = false,
                                  bool count_padding = false) {
    auto op = std::make_shared<AveragePool>();
    op->window = std::move(window);
    op->stride = std::move(stride);
    op->padding = std::move(padding);
    op->ceil = ceil;
    op->count_padding = count_padding;
    return op;
}

Tensor map(int64_t h, int64_t w, Values values) {
    return reference::make_tensor(batched_type({1, h, w}), 1, std::move(values));
}

TEST(AveragePool, AgreesWithTheReferenceAndItsGradient) {
    for (bool count_padding : {false, true}) {
        check_op(pool({2, 2}, {2, 2}, {0, 0, 0, 0}, false, count_padding),
                 {{batched_type({3, 4, 6})}, {}});
        check_op(pool({3, 3}, {2, 2}, {1, 1, 1, 1}, false, count_padding),
                 {{batched_type({2, 6, 7})}, {}});
        check_op(pool({3, 2}, {2, 3}, {2, 0, 1, 1}, true, count_padding),
                 {{batched_type({17, 4, 5})}, {}});
        check_op(pool({7, 6}, {1, 1}, {3, 3, 3, 2}, false, count_padding),
                 {{batched_type({1, 5, 4})}, {}});
    }
    check_op(pool({2, 3}, {3, 4}), {{batched_type({2, 8, 9})}, {}});
}

TEST(AveragePool, PaddingCountsOnlyWhenAsked) {  // case P1
    Values x;
    for (int i = 1; i <= 16; i++) x.push_back(i);
    Values y = run_op(*pool({3, 3}, {1, 1}, {1, 1, 1, 1}), {map(4, 4, x)}, 1)[0].values;
    y.resize(4);
    expect_near(y, {3.5, 4, 5, 5.5}, 1e-6);
    y = run_op(*pool({3, 3}, {1, 1}, {1, 1, 1, 1}, false, true), {map(4, 4, x)}, 1)[0].values;
    y.resize(4);
    expect_near(y, {14.0 / 9, 24.0 / 9, 30.0 / 9, 22.0 / 9}, 1e-6);
}

TEST(AveragePool, WidthNoMultipleOfTheWindow) {  // case P4
    expect_near(run_op(*pool({1, 3}, {1, 1}), {map(1, 7, {3, 1, 4, 1, 5, 9, 2})}, 1)[0].values,
                {8.0 / 3, 2, 10.0 / 3, 5, 16.0 / 3}, 1e-6);
}

// The last window of a size rounded up divides by the cells that it has, forward and back.
TEST(AveragePool, OverhangingWindowsDivideByTheirCells) {  // case c197
    EXPECT_EQ(run_op(*pool({1, 3}, {1, 3}, {0, 0, 0, 0}, true),
                     {map(1, 8, {1, 2, 3, 4, 5, 6, 7, 8})}, 1)[0]
                  .values,
              (Values{2, 5, 7.5}));
    AveragePoolBackward backward;
    backward.window = backward.stride = {1, 3};
    backward.ceil = true;
    backward.input = {1, 8};
    EXPECT_EQ(run_op(backward, {map(1, 3, {6, 60, 600})}, 1)[0].values,
              (Values{2, 2, 2, 20, 20, 20, 300, 300}));
}

// A window that would begin in the right padding is dropped.
TEST(AveragePool, NoWindowBeginsInThePadding) {  // case c199
    EXPECT_EQ(run_op(*pool({1, 2}, {1, 3}, {0, 0, 1, 1}, true), {map(1, 4, {-5, -9, -2, -7})}, 1)[0]
                  .values,
              (Values{-5, -4.5}));
}

TEST(AveragePool, WorkedExample) {
    const Tensor x = map(4, 4, {1, 3, 2, 0, 0, 5, 1, 1, 3, 0, 1, 4, 0, 0, 7, 1});
    EXPECT_EQ(run_op(*pool({2, 2}, {2, 2}), {x}, 1)[0].values, (Values{2.25, 1, 0.75, 3.25}));
}

TEST(AveragePool, LargeMap) {  // case P7
    Values x(512 * 512, 1000.25);
    for (size_t i = 0; i < x.size(); i += 2) x[i] = 1000;
    expect_near(run_op(*pool({512, 512}, {512, 512}), {map(512, 512, x)}, 1)[0].values, {1000.125},
                1e-3);
}

TEST(AveragePool, GradientOfTilingWindowsIsAGather) {
    AveragePoolBackward backward;
    backward.input = {8, 8};
    EXPECT_EQ(backward.op_class(), OpClass::gather);
    EXPECT_TRUE(is_inlinable(backward, {batched_type({3, 4, 4})}));
}

}  // namespace
}  // namespace emulsion::test
