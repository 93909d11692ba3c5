// Stochastic gradient descent: the reference, and worked examples of its forms.
#include "compiler/ops/sgd.h"

#include <gtest/gtest.h>

#include "compiler/graph/text.h"
#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

using reference::make_tensor;
using Values = std::vector<double>;

const TensorType kOne = plain_type({1}), kScalar = plain_type({});

// Weights after each step from w; `gradient` gives the gradient at a weight in step i, `rate` the
// rate.
template <class Gradient, class Rate>
Values descend(const Op& op, double w, int steps, const Gradient& gradient, const Rate& rate) {
    Values path;
    double m = 0;
    for (int i = 0; i < steps; i++) {
        const auto result =
            run_op(op,
                   {make_tensor(kOne, 1, {w}), make_tensor(kOne, 1, {gradient(w, i)}),
                    make_tensor(kOne, 1, {m}), make_tensor(kScalar, 1, {rate(i)})},
                   1);
        w = result[0].values[0];
        m = result[1].values[0];
        path.push_back(w);
    }
    return path;
}

SgdUpdate sgd(double momentum, bool nesterov = false, bool damped = false) {
    SgdUpdate op;
    op.momentum = momentum;
    op.nesterov = nesterov;
    op.damped = damped;
    return op;
}

TEST(Sgd, AgreesWithTheReference) {
    for (const TensorType& type :
         {plain_type({17, 3, 2, 2}), plain_type({5, 3}), plain_type({17}), kScalar}) {
        for (int form = 0; form < 4; form++) {
            SgdUpdate op = sgd(0.9, form % 2 == 1, form >= 2);
            op.weight_decay = form == 3 ? 0.01 : 0;
            check_lowering(op, {{type, type, type, kScalar}, {}});
            EXPECT_TRUE(is_inlinable(op, {type, type, type, kScalar}));
        }
        for (int form = 0; form < 4; form += 3) {  // the momentum as an operand
            SgdUpdate op = sgd(0, form % 2 == 1, form >= 2);
            op.scalars = 2;
            check_lowering(op, {{type, type, type, kScalar, kScalar}, {}});
        }
        SgdPlain plain;
        plain.weight_decay = 0.25;
        check_lowering(plain, {{type, type, kScalar}, {}});
    }
}

TEST(Sgd, MomentumOnAParabola) {  // w^2 / 2 from 1, rate 0.1
    const auto gradient = [](double w, int) { return w; };
    const auto rate = [](int) { return 0.1; };
    expect_near(descend(sgd(0), 1, 3, gradient, rate), {0.9, 0.81, 0.729}, 1e-6);
    expect_near(descend(sgd(0.9), 1, 3, gradient, rate), {0.9, 0.72, 0.486}, 1e-6);
    expect_near(descend(sgd(0.9, false, true), 1, 3, gradient, rate), {0.99, 0.9711, 0.944379},
                1e-6);
    expect_near(descend(sgd(0.9, true), 1, 3, gradient, rate), {0.81, 0.5751, 0.327321}, 1e-6);
}

TEST(Sgd, ARateOutsideTheBuffer) {  // case O5
    const auto path = descend(
        sgd(0.9), 1, 3, [](double, int) { return 1.0; }, [](int i) { return i < 2 ? 0.1 : 0.01; });
    expect_near({path.back()}, {0.6829}, 1e-6);
}

TEST(Sgd, DecayDoesNotDependOnTheBatch) {  // case O4: the gradient is the mean of 1, 2, 3, 6
    SgdPlain op;
    op.weight_decay = 0.5;
    const auto result = run_op(
        op, {make_tensor(kOne, 1, {2}), make_tensor(kOne, 1, {3}), make_tensor(kScalar, 1, {0.1})},
        1);
    expect_near(result[0].values, {1.6}, 1e-6);
}

TEST(Sgd, TextOfAMomentumThatIsAnOperand) {
    SgdUpdate op;
    EXPECT_EQ(print_attributes(op), "{momentum=0.9, nesterov=false, damped=false, weight_decay=0}");
    op.scalars = 2;
    EXPECT_EQ(print_attributes(op),
              "{momentum=0.9, nesterov=false, damped=false, weight_decay=0, scalars=2}");
    auto bad = std::make_shared<SgdUpdate>();
    bad->scalars = 3;
    EXPECT_EQ(node_error(bad, {kScalar}),
              "net.cpp:7: error[attribute]: sgd_update 'it': scalars is 3\n"
              "    operand 'a' f32[] from net.cpp:1\n"
              "  fix: give it 1 or 2");
}

TEST(Sgd, RefusesAGradientOfAnotherShape) {
    EXPECT_NE(node_error(std::make_shared<SgdPlain>(), {plain_type({4}), plain_type({5}), kScalar}),
              "");
    EXPECT_EQ(node_error(std::make_shared<SgdPlain>(),
                         {plain_type({4}), plain_type({4}), plain_type({4})}),
              "net.cpp:7: error[shape]: sgd_plain 'it': a rate must be f32[], but is f32[4]\n"
              "    operand 'a' f32[4] from net.cpp:1\n"
              "    operand 'b' f32[4] from net.cpp:2\n"
              "    operand 'c' f32[4] from net.cpp:3\n"
              "  fix: give it a scalar");
    EXPECT_EQ(
        node_error(std::make_shared<SgdPlain>(), {batched_type({4}), batched_type({4}), kScalar}),
        "net.cpp:7: error[shape]: sgd_plain 'it': the parameter is f32[n,4], one for each sample\n"
        "    operand 'a' f32[n,4] from net.cpp:1\n"
        "    operand 'b' f32[n,4] from net.cpp:2\n"
        "    operand 'c' f32[] from net.cpp:3\n"
        "  fix: update parameters only");
}

}  // namespace
}  // namespace emulsion::test
