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
    for (size_t i = 0; i < gradients.size(); i++) {
        const auto t = static_cast<double>(i + 1);
        const auto result = run_op(
            op,
            {make_tensor(kOne, 1, {w}), make_tensor(kOne, 1, {gradients[i]}),
             make_tensor(kOne, 1, {m}), make_tensor(kOne, 1, {v}),
             make_tensor(kScalar, 1, {std::pow(op.beta1, t)}),
             make_tensor(kScalar, 1, {std::pow(op.beta2, t)}), make_tensor(kScalar, 1, {rate})},
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
                op_case.seed = 4;  // powers below 1
                auto operands = random_operands(op_case);
                operands[4].values = {0.9};
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
