// Dense layers of each position, filters of a table, and deformable sampling.
#include <gtest/gtest.h>

#include "compiler/ops/connect_filter.h"
#include "compiler/ops/deform_sample.h"
#include "compiler/ops/local_dense.h"
#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

using reference::Tensor;
using Values = std::vector<double>;

TEST(LocalDense, AgreesWithTheReferenceAndItsGradient) {
    check_op(std::make_shared<LocalDense>(),
             {{batched_type({5, 3, 2}), plain_type({17, 5, 3, 2})}, {}, 3});
    check_op(std::make_shared<LocalDense>(),
             {{batched_type({18, 7}), plain_type({3, 18, 7})}, {}, 2});
    check_op(std::make_shared<LocalDense>(),
             {{batched_type({1, 1}), plain_type({1, 1, 1})}, {}, 1});
}

TEST(LocalDense, RefusesWeightsOfAnotherMap) {
    const auto op = std::make_shared<LocalDense>();
    EXPECT_EQ(
        node_error(op, {batched_type({5, 3, 2}), plain_type({4, 5, 3, 3})}),
        R"(net.cpp:7: error[shape]: local_dense 'it': the input is f32[n,5,3,2], but the weights f32[4,5,3,3] are for [n,5,3,3]
    operand 'a' f32[n,5,3,2] from net.cpp:1
    operand 'b' f32[4,5,3,3] from net.cpp:2
  fix: give the weights the channels and positions of the map)");
    EXPECT_EQ(
        node_error(op, {batched_type({5, 3, 2}), plain_type({4, 5, 3})}),
        R"(net.cpp:7: error[rank]: local_dense 'it': the weights must be a parameter (out, in, positions), but is f32[4,5,3]
    operand 'a' f32[n,5,3,2] from net.cpp:1
    operand 'b' f32[4,5,3] from net.cpp:2
  fix: give it a parameter with 4 axes)");
    EXPECT_EQ(
        node_error(op, {batched_type({5}), plain_type({4, 5})}),
        R"(net.cpp:7: error[rank]: local_dense 'it': the input must be a map with samples, channels and positions, but is f32[n,5]
    operand 'a' f32[n,5] from net.cpp:1
    operand 'b' f32[4,5] from net.cpp:2
  fix: give it a map, or use dense for features)");
    EXPECT_EQ(
        node_error(std::make_shared<LocalDenseBackwardWeights>(),
                   {batched_type({5, 3}), batched_type({4, 2})}),
        R"(net.cpp:7: error[shape]: local_dense_backward_weights 'it': the gradient is f32[n,4,2], but the result it belongs to is f32[n,4,3]
    operand 'a' f32[n,5,3] from net.cpp:1
    operand 'b' f32[n,4,2] from net.cpp:2
  fix: give it the gradient of the result these attributes describe)");
}

std::shared_ptr<ConnectFilter> connect(int64_t filters, int64_t channels,
                                       std::vector<int64_t> table) {
    auto op = std::make_shared<ConnectFilter>();
    op->filters = filters;
    op->channels = channels;
    op->table = std::move(table);
    return op;
}

TEST(ConnectFilter, AgreesWithTheReferenceAndItsGradient) {
    check_op(connect(3, 2, {1, 0, 0, 1, 1, 1}), {{plain_type({4, 1, 2, 3})}, {}, 1});
    check_op(connect(1, 1, {1}), {{plain_type({1, 1, 1, 1})}, {}, 1});
    // Filters in two blocks, channels in two words.
    std::vector<int64_t> table;
    int64_t pairs = 0;
    for (int64_t i = 0; i < 19 * 37; i++) {
        table.push_back(i % 37 == 3 || i * i % 7 == 2 ? 1 : 0);
        pairs += table.back();
    }
    check_op(connect(19, 37, table), {{plain_type({pairs, 1, 1, 2})}, {}, 1});
}

TEST(ConnectFilter, RefusesWhatIsNoTable) {
    const TensorType two = plain_type({2, 1, 3, 3});
    EXPECT_EQ(
        node_error(connect(2, 2, {1, 0, 0}), {two}),
        R"(net.cpp:7: error[attribute]: connect_filter 'it': the table has 3 numbers, but there are 2 filters and 2 channels
    operand 'a' f32[2,1,3,3] from net.cpp:1
  fix: give it 4 numbers, a row of 2 for each filter)");
    EXPECT_EQ(
        node_error(connect(2, 2, {1, 0, 0, 2}), {two}),
        R"(net.cpp:7: error[attribute]: connect_filter 'it': the table holds 2, but must hold 0 and 1
    operand 'a' f32[2,1,3,3] from net.cpp:1
  fix: write 1 where a filter reads a channel, else 0)");
    EXPECT_EQ(
        node_error(connect(2, 2, {1, 1, 0, 0}), {two}),
        R"(net.cpp:7: error[attribute]: connect_filter 'it': filter 1 of the table reads no channel
    operand 'a' f32[2,1,3,3] from net.cpp:1
  fix: connect it with a channel, or leave it out)");
    EXPECT_EQ(
        node_error(connect(2, 2, {1, 1, 1, 0}), {two}),
        R"(net.cpp:7: error[shape]: connect_filter 'it': the weights are f32[2,1,3,3], but the table connects 3 pairs
    operand 'a' f32[2,1,3,3] from net.cpp:1
  fix: give them the type f32[3,1,3,3])");
    EXPECT_EQ(
        node_error(connect(4097, 1, {1}), {two}),
        R"(net.cpp:7: error[attribute]: connect_filter 'it': the table has 4097 filters and 1 channels, but may have 1 to 4096 pairs of them
    operand 'a' f32[2,1,3,3] from net.cpp:1
  fix: use a convolution, or groups)");
}

std::shared_ptr<DeformSample> deform(std::vector<int64_t> kernel, std::vector<int64_t> stride,
                                     std::vector<int64_t> dilation, std::vector<int64_t> padding) {
    auto op = std::make_shared<DeformSample>();
    op->kernel = std::move(kernel);
    op->stride = std::move(stride);
    op->dilation = std::move(dilation);
    op->padding = std::move(padding);
    return op;
}

// Random offsets lie far enough from whole numbers, where the slope jumps.
TEST(DeformSample, AgreesWithTheReferenceAndItsGradient) {
    check_op(deform({2, 3}, {1, 1}, {1, 1}, {0, 0, 1, 1}),
             {{batched_type({3, 4, 5}), batched_type({12, 3, 5})}, {}, 2});
    check_op(deform({3, 3}, {2, 1}, {1, 2}, {1, 1, 2, 2}),
             {{batched_type({17, 3, 4}), batched_type({18, 2, 4})}, {}, 1});
    check_op(deform({1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}),
             {{batched_type({1, 1, 1}), batched_type({2, 1, 1})}, {}, 3});
}

TEST(DeformSample, StaysInsideForAnyOffset) {
    const Tensor x = reference::make_tensor(batched_type({1, 1, 2}), 1, {3, 5});
    const Tensor offsets =
        reference::make_tensor(batched_type({2, 1, 2}), 1, {0, 1e30, -1e30, 0.25});
    EXPECT_EQ(run_op(*deform({1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}), {x, offsets}, 1)[0].values,
              (Values{0, 0}));
}

TEST(DeformSample, RefusesOffsetsOfAnotherShape) {
    const auto op = deform({3, 3}, {1, 1}, {1, 1}, {0, 0, 0, 0});
    EXPECT_EQ(
        node_error(op, {batched_type({1, 5, 5}), batched_type({9, 3, 3})}),
        R"(net.cpp:7: error[shape]: deform_sample 'it': the offsets are f32[n,9,3,3], but must be f32[n,18,3,3]: down and right for each tap, at each position
    operand 'a' f32[n,1,5,5] from net.cpp:1
    operand 'b' f32[n,9,3,3] from net.cpp:2
  fix: make them with 18 filters of the same kernel, stride, dilation and padding)");
    EXPECT_EQ(
        node_error(deform({3}, {1, 1}, {1, 1}, {0, 0, 0, 0}),
                   {batched_type({1, 5, 5}), batched_type({18, 3, 3})}),
        R"(net.cpp:7: error[attribute]: deform_sample 'it': kernel must be a height and a width
    operand 'a' f32[n,1,5,5] from net.cpp:1
    operand 'b' f32[n,18,3,3] from net.cpp:2
  fix: give kernel=[height,width])");
    EXPECT_EQ(
        node_error(op, {batched_type({1, 2, 5}), batched_type({18, 3, 3})}),
        R"(net.cpp:7: error[window]: deform_sample 'it': the 3x3 filter is larger than its input 2x5
    operand 'a' f32[n,1,2,5] from net.cpp:1
    operand 'b' f32[n,18,3,3] from net.cpp:2
  fix: use a filter of at most 2x3, or pad the input to at least 3x5)");
}

}  // namespace
}  // namespace emulsion::test
