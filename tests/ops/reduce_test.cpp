// Sums, means and their gradient, expand.
#include "compiler/ops/reduce.h"

#include <gtest/gtest.h>

#include "compiler/ops/expand.h"
#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

using reference::Tensor;
using Values = std::vector<double>;

std::shared_ptr<Reduce> reduce(bool keep_samples, bool keep_channels, bool mean) {
    auto op = std::make_shared<Reduce>();
    op->keep_samples = keep_samples;
    op->keep_channels = keep_channels;
    op->mean = mean;
    return op;
}

TEST(Reduce, AgreesWithTheReferenceAndItsGradient) {
    for (const TensorType& type :
         {batched_type({5, 3, 4}), batched_type({17}), batched_type({2, 7})}) {
        for (bool mean : {false, true}) {
            check_op(reduce(true, true, mean), {{type}, {}});
            check_op(reduce(true, false, mean), {{type}, {}});
            check_op(reduce(false, true, mean), {{type}, {}});
            check_op(reduce(false, false, mean), {{type}, {}});
        }
    }
    check_op(reduce(false, false, true), {{batched_type({})}, {}});
}

TEST(Reduce, SumsParametersWithoutTheirPadding) {
    for (bool mean : {false, true}) {
        check_op(reduce(false, true, mean), {{plain_type({17, 3, 2, 2})}, {}});
        check_op(reduce(false, false, mean), {{plain_type({17, 3})}, {}});
        check_op(reduce(false, false, mean), {{plain_type({5})}, {}});
        check_op(reduce(false, true, mean), {{plain_type({5})}, {}});
    }
}

TEST(ReduceAxes, AgreesWithTheReferenceAndItsGradient) {
    const auto over = [](std::vector<int64_t> axes, const TensorType& from, const TensorType& to) {
        SCOPED_TRACE(to_string(from) + " to " + to_string(to));
        for (bool mean : {false, true}) {
            const auto op = std::make_shared<ReduceAxes>();
            op->axes = axes;
            op->mean = mean;
            EXPECT_EQ(op->infer(std::vector{from})[0], to);
            check_op(op, {{from}, {}});
        }
    };
    const TensorType map = batched_type({5, 3, 4}), filter = plain_type({17, 3, 2, 2});
    over({0}, map, batched_type({1, 3, 4}));
    over({1, 2}, map, batched_type({5, 1, 1}));
    over({2}, map, batched_type({5, 3, 1}));
    over({0, 1, 2}, map, batched_type({1, 1, 1}));
    over({0}, batched_type({7}), batched_type({1}));
    over({1}, batched_type({2, 7}), batched_type({2, 1}));
    over({0, 2}, batched_type({3, 2, 4, 5}), batched_type({1, 2, 1, 5}));
    over({1, 2, 3}, filter, plain_type({17, 1, 1, 1}));
    over({0}, filter, plain_type({1, 3, 2, 2}));
    over({0, 3}, filter, plain_type({1, 3, 2, 1}));
    over({0}, plain_type({5}), plain_type({1}));
    over({1}, plain_type({18, 2, 3, 2, 2}), plain_type({18, 1, 3, 2, 2}));
    TensorType flat = batched_type({12}), weights = plain_type({5, 12});
    flat.factors = weights.factors = {3, 2, 2};
    over({0}, flat, batched_type({1}));
    over({1}, weights, plain_type({5, 1}));
    TensorType row = weights;
    row.shape[0] = 1;
    over({0}, weights, row);
}

TEST(ReduceAxes, Errors) {
    const auto op = std::make_shared<ReduceAxes>();
    op->axes = {2, 3};
    EXPECT_EQ(node_error(op, {batched_type({5, 3, 4})}),
              "net.cpp:7: error[attribute]: reduce_axes 'it': the axes are [2,3], but the input "
              "f32[n,5,3,4] has axes 0 to 2 beside its samples\n"
              "    operand 'a' f32[n,5,3,4] from net.cpp:1\n"
              "  fix: give each axis once, in ascending order; 0 is the channels");
    EXPECT_EQ(node_error(op, {batched_type({})}),
              "net.cpp:7: error[attribute]: reduce_axes 'it': the input f32[n] has no axes beside "
              "its samples\n"
              "    operand 'a' f32[n] from net.cpp:1\n"
              "  fix: give it a map or features");
    for (std::vector<int64_t> axes :
         std::vector<std::vector<int64_t>>{{}, {1, 1}, {1, 0}, {-1}, {0, 3}}) {
        op->axes = axes;
        EXPECT_NE(node_error(op, {batched_type({5, 3, 4})}), "");
    }
}

TEST(Reduce, FlattenedFeatures) {
    TensorType type = batched_type({12});
    type.factors = {3, 2, 2};
    check_op(reduce(true, false, true), {{type}, {}});
    check_op(reduce(false, false, false), {{type}, {}});
}

TEST(Reduce, GlobalAverageOfALargeMap) {  // case P7
    Tensor x = reference::make_tensor(batched_type({1, 512, 512}), 1);
    for (size_t i = 0; i < x.values.size(); i++) x.values[i] = i % 2 == 0 ? 1000 : 1000.25;
    expect_near(run_op(*reduce(true, true, true), {x}, 1)[0].values, {1000.125}, 1e-3);
}

TEST(Expand, AgreesWithTheReferenceAndItsGradient) {
    auto op = std::make_shared<Expand>();
    op->shape = {5, 2, 3};
    for (const TensorType& type :
         {batched_type({5}), batched_type({}), plain_type({5}), plain_type({}),
          batched_type({5, 2, 3}), batched_type({1, 2, 3}), batched_type({5, 1, 1})}) {
        op->scale = type.batched ? 0.25 : 1;
        check_op(op, {{type}, {}});
        EXPECT_TRUE(is_inlinable(*op, {type}));
    }
    op->per_sample = true;
    check_lowering(*op, {{plain_type({})}, {}});
}

TEST(Expand, LeavesPaddingZero) {
    auto op = std::make_shared<Expand>();
    op->shape = {5, 2};
    op->batched = false;
    check_op(op, {{plain_type({})}, {}});
    check_op(op, {{plain_type({5})}, {}});
}

}  // namespace
}  // namespace emulsion::test
