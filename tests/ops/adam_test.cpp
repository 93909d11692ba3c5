// Adam in its forms: the reference, and the values of published disagreements.
#include "compiler/ops/adam.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/check_op.h"
#include "tests/support/run_graph.h"

namespace emulsion::test {
namespace {

using reference::make_tensor;
using Values = std::vector<double>;

const TensorType kOne = plain_type({1}), kScalar = plain_type({});

// Weights after each of the steps with these gradients.
Values adam(const AdamUpdate& op, double w, const Values& gradients, double rate) {
    Values path;
    double m = 0, v = 0;
    reference::Tensor c1 = make_tensor(kScalar, 1, {0}), c2 = c1;
    AdamCorrection correction1, correction2;
    correction1.beta = op.beta1;
    correction2.beta = op.beta2;
    for (double gradient : gradients) {
        c1 = run_op(correction1, {c1}, 1)[0];
        c2 = run_op(correction2, {c2}, 1)[0];
        const auto result = run_op(
            op,
            {make_tensor(kOne, 1, {w}), make_tensor(kOne, 1, {gradient}), make_tensor(kOne, 1, {m}),
             make_tensor(kOne, 1, {v}), c1, c2, make_tensor(kScalar, 1, {rate})},
            1);
        w = result[0].values[0];
        m = result[1].values[0];
        v = result[2].values[0];
        path.push_back(w);
    }
    return path;
}

TEST(Adam, AgreesWithTheReference) {
    for (const char* form : {"outside", "inside", "keras"}) {
        for (int variant = 0; variant < 4; variant++) {
            AdamUpdate op;
            op.form = form;
            op.weight_decay = variant == 0 ? 0 : 0.1;
            op.decoupled = variant == 2;
            op.bias_correction = variant != 3;
            for (const TensorType& type : {plain_type({17, 3, 2, 2}), plain_type({5})}) {
                OpCase op_case{{type, type, type, type, kScalar, kScalar, kScalar}, {}};
                op_case.fills = {Fill::normal, Fill::normal, Fill::normal, Fill::positive};
                op_case.seed = 4;
                auto operands = random_operands(op_case);
                operands[4].values = {0.1};
                operands[5].values = {0.5};
                for (auto& operand : operands) operand = reference::rounded(operand);
                const auto expected = reference::evaluate(op, operands, 1);
                const auto actual = run_op(op, operands, 1);
                for (size_t k = 0; k < 3; k++)
                    expect_near(actual[k].values, expected[k].values, 4e-6);
            }
        }
    }
}

TEST(Adam, PlacesOfEpsilon) {  // case O1
    AdamUpdate op;
    op.epsilon = 1e-6;
    const Values gradients = {1e-6, 3e-6, -2e-6};
    const auto last = [&](const char* form) {
        op.form = form;
        return adam(op, 1, gradients, 0.01).back();
    };
    expect_near({last("outside"), last("inside"), last("keras")},
                {0.98689489, 0.9999639, 0.99858638}, 2e-7);
}

TEST(Adam, BiasCorrectionDivides) {  // case O2, from 0
    expect_near(adam({}, 0, {1, -1, 1}, 0.01), {-0.0099999999, -0.0094736841, -0.012831618}, 2e-7);
    AdamUpdate op;  // the first step is rate with the correction, 3.1623 * rate without
    op.bias_correction = false;
    expect_near(adam(op, 0, {1}, 0.01), {-0.031623}, 1e-6);
}

TEST(Adam, CorrectionIsOneMinusThePower) {
    for (double beta : {0.0, 0.9, 0.999, 0.9999, 0.999999}) {
        AdamCorrection op;
        op.beta = beta;
        reference::Tensor c = make_tensor(kScalar, 1, {0});
        for (int t = 1; t <= 20; t++) {
            c = run_op(op, {c}, 1)[0];
            const double expected = -std::expm1(t * std::log(beta));
            EXPECT_NEAR(c.values[0], expected, 1e-6 * expected) << beta << " at step " << t;
        }
    }
}

TEST(Adam, CorrectsEachElementOfAMap) {
    AdamCorrection op;
    op.beta = 0.75;
    Values from, to;
    for (int i = 0; i < 5; i++) from.push_back(i / 8.0), to.push_back(1 - 0.75 * (1 - i / 8.0));
    const reference::Tensor c = make_tensor(plain_type({5}), 1, from);
    expect_near(run_op(op, {c}, 1)[0].values, to, 1e-6);
    expect_near(reference::evaluate(op, {c}, 1)[0].values, to, 1e-12);
}

// Equal gradients move by the rate in each step, whatever the betas.
TEST(Adam, FirstStepsWithBetaNearOne) {  // case c207
    for (double beta2 : {0.999, 0.9999, 0.999999}) {
        AdamUpdate op;
        op.beta2 = beta2;
        const Values path = adam(op, 0, Values(10, 1), 0.01);
        EXPECT_NEAR(path[0], -0.01, 2e-6 * 0.01) << beta2;
        EXPECT_NEAR(path[9], -0.1, 2e-6 * 0.1) << beta2;
    }
}

TEST(Adam, DecoupledDecayIsScaledByTheRate) {  // case O3
    AdamUpdate op;
    op.weight_decay = 0.1;
    expect_near(adam(op, 1, {0}, 0.01), {0.99}, 1e-6);
    op.decoupled = true;
    expect_near(adam(op, 1, {0}, 0.01), {0.999}, 1e-6);
}

TEST(Adam, RefusesAnUnknownForm) {
    auto op = std::make_shared<AdamUpdate>();
    op->form = "between";
    EXPECT_EQ(node_error(op, {kScalar}),
              "net.cpp:7: error[attribute]: adam_update 'it': form is \"between\"\n"
              "    operand 'a' f32[] from net.cpp:1\n"
              "  fix: choose \"outside\", \"inside\" or \"keras\"");
}

}  // namespace
}  // namespace emulsion::test
