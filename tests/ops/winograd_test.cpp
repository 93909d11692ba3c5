// The ops of Winograd convolution: shapes and their errors, the filter transform against the
// matrices, and both together against conv2d.
#include "compiler/ops/winograd.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "compiler/ops/conv2d.h"
#include "tests/reference/interpreter.h"
#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

using reference::Tensor;
using Values = std::vector<double>;

std::shared_ptr<WinogradFilter> filter_op(int64_t tile) {
    auto op = std::make_shared<WinogradFilter>();
    op->tile = tile;
    return op;
}

std::shared_ptr<WinogradConv2d> conv_op(int64_t tile, std::vector<int64_t> padding = {0, 0, 0, 0}) {
    auto op = std::make_shared<WinogradConv2d>();
    op->tile = tile;
    op->padding = std::move(padding);
    return op;
}

// ---- Matrices ----

// One dimension: A^T [(G g) * (B^T d)] is the correlation of d with g, for every pair of unit
// vectors.
TEST(WinogradMatrices, GiveTheCorrelationExactly) {
    for (auto [tile, kernel] : {std::pair{4, 3}, {2, 3}, {2, 5}}) {
        const WinogradMatrices m = winograd_matrices(tile, kernel);
        const auto points = static_cast<size_t>(m.points());
        ASSERT_EQ(m.points(), tile + kernel - 1);
        ASSERT_EQ(m.output.size(), static_cast<size_t>(tile));
        ASSERT_EQ(m.filter[0].size(), static_cast<size_t>(kernel));
        for (size_t tap = 0; tap < static_cast<size_t>(kernel); tap++) {
            for (size_t cell = 0; cell < points; cell++) {
                for (size_t row = 0; row < static_cast<size_t>(tile); row++) {
                    double sum = 0;
                    for (size_t i = 0; i < points; i++) {
                        sum += m.output[row][i] * m.filter[i][tap] * m.input[i][cell];
                    }
                    EXPECT_NEAR(sum, row + tap == cell ? 1 : 0, 1e-15)
                        << tile << " " << row << " " << tap;
                }
            }
        }
    }
}

TEST(WinogradMatrices, AreThoseOfThePaper) {
    const WinogradMatrices m = winograd_matrices(4, 3);
    EXPECT_EQ(
        m.output,
        (std::vector<Values>{
            {1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -2, 0}, {0, 1, 1, 4, 4, 0}, {0, 1, -1, 8, -8, 1}}));
    EXPECT_EQ(m.filter[0], (Values{0.25, 0, 0}));
    EXPECT_EQ(m.filter[5], (Values{0, 0, 1}));
    // But for the sign of the point at infinity.
    const WinogradMatrices small = winograd_matrices(2, 3);
    EXPECT_EQ(small.output, (std::vector<Values>{{1, 1, 1, 0}, {0, 1, -1, 1}}));
    EXPECT_EQ(small.filter,
              (std::vector<Values>{{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}}));
}

// ---- Values ----

TEST(WinogradFilter, AgreesWithTheMatrices) {
    check_lowering(*filter_op(4), {{plain_type({17, 3, 3, 3})}, {}});
    check_lowering(*filter_op(2), {{plain_type({17, 3, 3, 3})}, {}});
    check_lowering(*filter_op(2), {{plain_type({16, 2, 5, 5})}, {}});
    // w = 1 at one corner: u is the outer product of a column of G with itself.
    Tensor w = reference::make_tensor(plain_type({1, 1, 3, 3}), 1);
    w.at(0, 0, 2, 2) = 24;
    const Values u = run_op(*filter_op(4), {w}, 1)[0].values;
    const Values column = {0, -1.0 / 6, -1.0 / 6, 1.0 / 6, 1.0 / 6, 1};  // of G
    for (size_t i = 0; i < 6; i++)
        for (size_t j = 0; j < 6; j++) EXPECT_NEAR(u[6 * i + j], 24 * column[i] * column[j], 1e-5);
}

TEST(WinogradConv2d, AgreesWithTheReference) {
    for (auto [tile, points, height, width] : {std::tuple{4, 6, 4, 4},
                                               {4, 6, 6, 5},
                                               {4, 6, 9, 7},
                                               {2, 6, 4, 3},
                                               {2, 6, 5, 6},
                                               {2, 4, 1, 2},
                                               {2, 4, 7, 6}}) {
        check_lowering(
            *conv_op(tile, {1, 1, 1, 1}),
            {{batched_type({3, height, width + 2}), plain_type({17, 3, points, points})}, {}, 2},
            1e-5);
    }
}

double largest_difference(const Values& a, const Values& b) {
    EXPECT_EQ(a.size(), b.size());
    double largest = 0;
    for (size_t i = 0; i < std::min(a.size(), b.size()); i++)
        largest = std::max(largest, std::abs(a[i] - b[i]));
    return largest;
}

// Transform, then convolve: conv2d of the same filter, in double precision to its rounding, lowered
// to that of f32.
TEST(WinogradConv2d, EqualsConv2d) {
    struct Case {
        int64_t tile, kernel, height, width;
        std::vector<int64_t> padding;
    };
    for (const Case& c : {Case{4, 3, 4, 4, {1, 1, 1, 1}}, Case{4, 3, 7, 10, {0, 0, 0, 0}},
                          Case{4, 3, 5, 8, {2, 0, 1, 3}}, Case{2, 5, 4, 6, {2, 2, 2, 2}},
                          Case{2, 5, 7, 9, {0, 1, 3, 0}}, Case{2, 3, 1, 1, {1, 1, 1, 1}},
                          Case{2, 3, 7, 10, {0, 0, 0, 0}}, Case{2, 3, 5, 8, {2, 0, 1, 3}}}) {
        const TensorType x = batched_type({3, c.height, c.width}),
                         w = plain_type({5, 3, c.kernel, c.kernel});
        const std::vector<Tensor> operands = random_operands({{x, w}, {}, 2});
        Conv2d conv;
        conv.padding = c.padding;
        const Tensor y = reference::evaluate(conv, operands, 2)[0];
        const Tensor u = reference::evaluate(*filter_op(c.tile), {operands[1]}, 1)[0];
        const Tensor exact =
            reference::evaluate(*conv_op(c.tile, c.padding), {operands[0], u}, 2)[0];
        EXPECT_EQ(exact.type, y.type);
        EXPECT_LT(largest_difference(exact.values, y.values), 1e-11);
        const Tensor lowered_u = run_op(*filter_op(c.tile), {operands[1]}, 1)[0];
        const Tensor lowered = run_op(*conv_op(c.tile, c.padding), {operands[0], lowered_u}, 2)[0];
        EXPECT_LT(largest_difference(lowered.values, y.values), 1e-3);
    }
}

// ---- Shapes ----

TEST(WinogradConv2d, CountsTheProductsOfTheConvolution) {
    const std::vector<TensorType> inputs = {batched_type({16, 8, 9}), plain_type({32, 16, 6, 6})};
    EXPECT_EQ(conv_op(4, {1, 1, 1, 1})->infer(inputs)[0], batched_type({32, 8, 9}));
    EXPECT_EQ(conv_op(4)->infer(inputs)[0], batched_type({32, 6, 7}));
    EXPECT_EQ(conv_op(4)->multiply_adds(inputs), 32 * 6 * 7 * 16 * 9);
    EXPECT_EQ(conv_op(2)->infer(inputs)[0], batched_type({32, 4, 5}));
    EXPECT_EQ(conv_op(2)->multiply_adds(inputs), 32 * 4 * 5 * 16 * 25);
    const std::vector<TensorType> four = {batched_type({16, 8, 9}), plain_type({32, 16, 4, 4})};
    EXPECT_EQ(conv_op(2)->infer(four)[0], batched_type({32, 6, 7}));
    EXPECT_EQ(conv_op(2)->multiply_adds(four), 32 * 6 * 7 * 16 * 9);
    EXPECT_EQ(filter_op(2)->infer(std::vector{plain_type({32, 16, 3, 3})})[0],
              plain_type({32, 16, 4, 4}));
    EXPECT_EQ(filter_op(2)->infer(std::vector{plain_type({32, 16, 5, 5})})[0],
              plain_type({32, 16, 6, 6}));
}

TEST(WinogradErrors, Tile) {
    EXPECT_EQ(node_error(filter_op(3), {plain_type({16, 16, 3, 3})}),
              R"(net.cpp:7: error[attribute]: winograd_filter 'it': tile is 3
    operand 'a' f32[16,16,3,3] from net.cpp:1
  fix: use tile=4 or tile=2 for 3x3 filters, tile=2 for 5x5)");
    EXPECT_EQ(node_error(conv_op(6), {batched_type({16, 8, 8}), plain_type({16, 16, 6, 6})}),
              R"(net.cpp:7: error[attribute]: winograd_conv2d 'it': tile is 6
    operand 'a' f32[n,16,8,8] from net.cpp:1
    operand 'b' f32[16,16,6,6] from net.cpp:2
  fix: use tile=4 or tile=2 for 3x3 filters, tile=2 for 5x5)");
    EXPECT_EQ(
        node_error(filter_op(4), {plain_type({16, 16, 5, 5})}),
        R"(net.cpp:7: error[attribute]: winograd_filter 'it': tile 4 does not go with a 5 x 5 filter
    operand 'a' f32[16,16,5,5] from net.cpp:1
  fix: use tile=4 or tile=2 for 3x3 filters, tile=2 for 5x5)");
    EXPECT_EQ(
        node_error(filter_op(2), {plain_type({16, 16, 5, 3})}),
        R"(net.cpp:7: error[attribute]: winograd_filter 'it': tile 2 does not go with a 5 x 3 filter
    operand 'a' f32[16,16,5,3] from net.cpp:1
  fix: use tile=4 or tile=2 for 3x3 filters, tile=2 for 5x5)");
}

TEST(WinogradErrors, Operands) {
    EXPECT_EQ(
        node_error(conv_op(4), {batched_type({16, 8, 8})}),
        R"(net.cpp:7: error[operands]: winograd_conv2d 'it': it takes 2 operands, but 1 is given
    operand 'a' f32[n,16,8,8] from net.cpp:1
  fix: give it 2 operands)");
    EXPECT_EQ(
        node_error(conv_op(4), {batched_type({16, 8, 8}), plain_type({16, 32, 6, 6})}),
        R"(net.cpp:7: error[channels]: winograd_conv2d 'it': input has 16 channels, but the filter expects 32
    operand 'a' f32[n,16,8,8] from net.cpp:1
    operand 'b' f32[16,32,6,6] from net.cpp:2
  fix: give the filter as many input channels as the input has)");
    EXPECT_EQ(
        node_error(conv_op(4), {batched_type({16, 8, 8}), plain_type({16, 16, 3, 3})}),
        R"(net.cpp:7: error[attribute]: winograd_conv2d 'it': the filter is 3x3, but must be transformed to 6x6
    operand 'a' f32[n,16,8,8] from net.cpp:1
    operand 'b' f32[16,16,3,3] from net.cpp:2
  fix: pass it through winograd_filter with tile=4 first)");
    EXPECT_EQ(
        node_error(conv_op(4), {batched_type({16, 8, 8}), plain_type({16, 16, 4, 4})}),
        R"(net.cpp:7: error[attribute]: winograd_conv2d 'it': the filter is 4x4, but must be transformed to 6x6
    operand 'a' f32[n,16,8,8] from net.cpp:1
    operand 'b' f32[16,16,4,4] from net.cpp:2
  fix: pass it through winograd_filter with tile=4 first)");
    EXPECT_EQ(
        node_error(conv_op(2), {batched_type({16, 8, 8}), plain_type({16, 16, 4, 6})}),
        R"(net.cpp:7: error[attribute]: winograd_conv2d 'it': the filter is 4x6, but must be transformed to 4x4 or 6x6
    operand 'a' f32[n,16,8,8] from net.cpp:1
    operand 'b' f32[16,16,4,6] from net.cpp:2
  fix: pass it through winograd_filter with tile=2 first)");
    EXPECT_EQ(
        node_error(conv_op(2), {batched_type({16, 3, 8}), plain_type({16, 16, 6, 6})}),
        R"(net.cpp:7: error[window]: winograd_conv2d 'it': the 5x5 filter is larger than its input 3x8
    operand 'a' f32[n,16,3,8] from net.cpp:1
    operand 'b' f32[16,16,6,6] from net.cpp:2
  fix: use a filter of at most 3x5, or pad the input to at least 5x8)");
    EXPECT_EQ(
        node_error(filter_op(4), {batched_type({16, 8, 8})}),
        R"(net.cpp:7: error[rank]: winograd_filter 'it': the filter must be a parameter (out, in, kh, kw), but is f32[n,16,8,8]
    operand 'a' f32[n,16,8,8] from net.cpp:1
  fix: give it a parameter with 4 axes)");
}

}  // namespace
}  // namespace emulsion::test
