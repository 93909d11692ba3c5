// Losses of single elements.
#include "compiler/ops/element_losses.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

using reference::Tensor;
using Values = std::vector<double>;

std::shared_ptr<Huber> huber(double delta) {
    auto op = std::make_shared<Huber>();
    op->delta = delta;
    return op;
}

std::shared_ptr<BinaryCrossEntropy> binary(double positive_weight) {
    auto op = std::make_shared<BinaryCrossEntropy>();
    op->positive_weight = positive_weight;
    return op;
}

Values losses(const Op& op, const Values& x, const Values& t) {
    const TensorType type = batched_type({static_cast<int64_t>(x.size())});
    return run_op(op, {reference::make_tensor(type, 1, x), reference::make_tensor(type, 1, t)},
                  1)[0]
        .values;
}

TEST(ElementLosses, AgreeWithTheReferenceAndTheirGradients) {
    const TensorType type = batched_type({7});
    check_op(std::make_shared<AbsoluteError>(), {{type, type}, {}});
    check_op(huber(0.25), {{type, type}, {}});
    check_op(binary(1), {{type, type}, {Fill::normal, Fill::positive}});
    check_op(binary(3.5), {{type, type}, {Fill::normal, Fill::positive}});
    check_op(std::make_shared<Hinge>(), {{type, type}, {}});
    for (const TensorType& other : {batched_type({3, 2, 5}), plain_type({5})})
        check_lowering(*huber(1), {{other, other}, {}});
}

// PyTorch's numbers, by its formulas in double precision.
TEST(ElementLosses, HavePyTorchsNumbers) {
    const Values x = {0.5, -2, 3, 100, -100}, t = {1, 0, 0.25, 0, 1};
    expect_near(losses(*binary(1), x, t), {0.47407698, 0.12692801, 2.29858735, 100, 100}, 1e-5);
    expect_near(losses(*binary(3), x, t), {1.42223095, 0.12692801, 2.32288103, 100, 300}, 2e-5);
    const Values d = {0.25, -0.8, 3}, zero = {0, 0, 0};
    expect_near(losses(*huber(1), d, zero), {0.03125, 0.32, 2.5}, 1e-6);
    expect_near(losses(*huber(0.5), d, zero), {0.03125, 0.275, 1.375}, 1e-6);
    expect_near(losses(AbsoluteError(), d, zero), {0.25, 0.8, 3}, 1e-6);
    expect_near(losses(Hinge(), {0.5, -2, 3, 0.25}, {1, 1, 1, -1}), {0.5, 3, 0, 1.25}, 1e-6);
}

// 1e-13 is not lost beside 1.
TEST(ElementLosses, BinaryCrossEntropyKeepsSmallLosses) {
    const Values loss = losses(*binary(1), {-30, 30}, {0, 1});
    for (double value : loss) EXPECT_NEAR(value, 9.35762297e-14, 1e-19);
}

TEST(ElementLosses, OfNotANumberAreNotANumber) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    for (const std::shared_ptr<const Op>& op : std::vector<std::shared_ptr<const Op>>{
             std::make_shared<AbsoluteError>(), huber(1), binary(1), std::make_shared<Hinge>()}) {
        for (double loss : losses(*op, {nan, nan, 0, 1}, {0, 1, nan, nan}))
            EXPECT_TRUE(std::isnan(loss)) << op->kind();
    }
}

}  // namespace
}  // namespace emulsion::test
