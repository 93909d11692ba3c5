// The dense contraction and its two gradients.
#include "compiler/ops/dense.h"

#include <gtest/gtest.h>

#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

using reference::Tensor;
using Values = std::vector<double>;

TensorType with_factors(TensorType type, std::vector<int64_t> factors) {
    type.factors = std::move(factors);
    return type;
}

OpCase shapes(int64_t in, int64_t out) { return {{batched_type({in}), plain_type({out, in})}, {}}; }

TEST(Dense, AgreesWithTheReferenceAndItsGradient) {
    check_op(std::make_shared<Dense>(), shapes(5, 3));
    check_op(std::make_shared<Dense>(), shapes(1, 1));
    check_op(std::make_shared<Dense>(), shapes(7, 17));
    check_op(std::make_shared<Dense>(), shapes(33, 16));
}

TEST(Dense, ReadsAFlattenedMapInItsOrder) {
    check_op(std::make_shared<Dense>(), {{with_factors(batched_type({12}), {3, 2, 2}),
                                          with_factors(plain_type({17, 12}), {3, 2, 2})},
                                         {}});
}

TEST(Dense, FlattenOrderIsChannelsFirst) {  // case X7
    const std::vector<int64_t> factors = {3, 2, 2};
    Values pixels, weights;  // height, width, channel 1 … 12 as channels first
    for (int c = 0; c < 3; c++)
        for (int cell = 0; cell < 4; cell++) pixels.push_back(cell * 3 + c + 1);
    for (int i = 1; i <= 12; i++) weights.push_back(i);
    const Tensor x = reference::make_tensor(with_factors(batched_type({12}), factors), 1, pixels);
    const Tensor w = reference::make_tensor(with_factors(plain_type({1, 12}), factors), 1, weights);
    EXPECT_EQ(run_op(Dense(), {x, w}, 1)[0].values, (Values{584}));
}

TEST(Dense, LinearLayerOfTheWorkedExample) {
    const Tensor x = reference::make_tensor(batched_type({4}), 1, {56, 231, 24, 2});
    const Tensor w = reference::make_tensor(
        plain_type({3, 4}), 1, {0.2, -0.5, 0.1, 2.0, 1.5, 1.3, 2.1, 0.0, 0, 0.25, 0.2, -0.3});
    const Values y = run_op(Dense(), {x, w}, 1)[0].values;
    expect_near({y[0] + 1.1, y[1] + 3.2, y[2] - 1.2}, {-96.8, 437.9, 60.75}, 1e-4);
}

TEST(Dense, EachSampleIsAsIfAlone) {  // case X6
    OpCase op_case = shapes(5, 3);
    op_case.samples = 7;
    const std::vector<Tensor> operands = random_operands(op_case);
    const Tensor all = run_op(Dense(), operands, 7)[0];
    for (int64_t n = 0; n < 7; n++) {
        Tensor x = reference::make_tensor(batched_type({5}), 1);
        for (int64_t i = 0; i < 5; i++) x.at(0, i) = operands[0].at(n, i);
        const Tensor alone = run_op(Dense(), {x, operands[1]}, 1)[0];
        for (int64_t o = 0; o < 3; o++) EXPECT_EQ(alone.at(0, o), all.at(n, o)) << "sample " << n;
    }
}

TEST(Dense, CountsMultiplyAdds) {
    EXPECT_EQ(Dense().multiply_adds(shapes(784, 800).inputs), 784 * 800);
    EXPECT_EQ(
        DenseBackwardData().multiply_adds(std::vector{batched_type({800}), plain_type({800, 784})}),
        784 * 800);
    EXPECT_EQ(
        DenseBackwardWeights().multiply_adds(std::vector{batched_type({784}), batched_type({800})}),
        784 * 800);
}

}  // namespace
}  // namespace emulsion::test
