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
    for (const TensorType& type : {batched_type({5}), batched_type({}), plain_type({5}),
                                   plain_type({}), batched_type({5, 2, 3})}) {
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
