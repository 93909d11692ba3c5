// Adam in whole training libraries, from `init` on, against plain loops in double precision, and
// Levenberg-Marquardt, whose update reads what the backward pass has left in the state: both ways
// of updating, every instruction set.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "dsl/emulsion.h"
#include "dsl/finish.h"
#include "runtime/support/machine_speed.h"
#include "tests/integration/integration_support.h"

namespace emulsion::test {
namespace {

constexpr int kBatch = 8, kSteps = 3;
constexpr float kRate = 0.01f;

Network adam_network(const AdamOptions& options) {
    Model m("adam");
    m.classify(dense(tanh(dense(m.input("x", {7}), 18)), 5));
    m.optimizer(adam(options));
    return finish(m).network.value();
}

// One parameter, followed in double precision from the gradients that the library computes.
struct Follower {
    Follower(const Trainer& trainer, const emulsion_tensor& tensor, const AdamOptions& adam_options)
        : options(adam_options),
          weights(trainer.tensor(tensor.name)),
          gradients(trainer.tensor(std::string("gradient ") + tensor.name)),
          expected(weights, weights + tensor.bytes / sizeof(float)),
          moment1(expected.size()),
          moment2(expected.size()) {}

    void step(int number) {
        const double rest1 = options.bias_correction ? 1 - std::pow(options.beta1, number) : 1;
        const double rest2 = options.bias_correction ? 1 - std::pow(options.beta2, number) : 1;
        for (size_t i = 0; i < expected.size(); i++) {
            const double g = gradients[i];
            moment1[i] = options.beta1 * moment1[i] + (1 - options.beta1) * g;
            moment2[i] = options.beta2 * moment2[i] + (1 - options.beta2) * g * g;
            const double root = std::sqrt(moment2[i] / rest2) + options.epsilon;
            expected[i] -= kRate * (moment1[i] / rest1 / root + options.weight_decay * expected[i]);
        }
    }

    void check(const char* name) const {
        for (size_t i = 0; i < expected.size(); i++)
            ASSERT_NEAR(weights[i], expected[i], 2e-5 * kRate + 1e-6) << name << "[" << i << "]";
    }

    // After the first step a weight has moved by the rate, against its gradient.
    void check_first(const std::vector<float>& before, const char* name) const {
        const double length = options.bias_correction ? 1 : 0.1 / std::sqrt(0.001);
        int moved = 0;
        for (size_t i = 0; i < expected.size(); i++) {
            if (std::abs(gradients[i]) < 1e-3f) continue;
            ASSERT_NEAR(weights[i] - before[i],
                        std::copysign(kRate * length, -static_cast<double>(gradients[i])),
                        1e-3 * kRate)
                << name << "[" << i << "]";
            moved++;
        }
        EXPECT_GT(moved, 0) << name;
    }

    const AdamOptions& options;
    const float *weights, *gradients;
    std::vector<double> expected, moment1, moment2;
};

std::vector<const emulsion_tensor*> trained_tensors(const emulsion_info& info) {
    std::vector<const emulsion_tensor*> tensors;
    for (int i = 0; i < info.tensor_count; i++) {
        if (info.tensors[i].trained != 0) tensors.push_back(&info.tensors[i]);
    }
    return tensors;
}

void expect_follows_adam(const AdamOptions& options) {
    const Network network = adam_network(options);
    const BuiltLibraries apart(network, {.batch = kBatch, .target = "portable"});
    const BuiltLibraries at_once(network,
                                 {.batch = kBatch, .target = "portable", .update_at_once = true});
    for (int variant = 1; variant <= 3; variant++) {
        if (!can_run(apart.train().info()->variants[variant - 1])) continue;
        SCOPED_TRACE(testing::Message() << "variant " << variant);
        Trainer trainer(apart.train(), 1, variant), twin(at_once.train(), 1, variant);
        const auto tensors = trained_tensors(trainer.info);
        ASSERT_EQ(tensors.size(), 4u);
        std::vector<Follower> followers;
        for (const emulsion_tensor* tensor : tensors)
            followers.emplace_back(trainer, *tensor, options);
        for (int number = 1; number <= kSteps; number++) {
            SCOPED_TRACE(testing::Message() << "step " << number);
            std::vector<std::vector<float>> before;
            for (const Follower& f : followers)
                before.emplace_back(f.weights, f.weights + f.expected.size());
            trainer.step(static_cast<uint64_t>(number), kBatch, kRate);
            twin.step(static_cast<uint64_t>(number), kBatch, kRate);
            for (size_t i = 0; i < followers.size(); i++) {
                followers[i].step(number);
                followers[i].check(tensors[i]->name);
                if (number == 1) followers[i].check_first(before[i], tensors[i]->name);
            }
            EXPECT_TRUE(trainer.weights() == twin.weights()) << "updates at once differ";
        }
    }
}

TEST(Adam, CorrectsItsBiasFromTheFirstStep) { expect_follows_adam({.learning_rate = kRate}); }

TEST(Adam, WithoutCorrectionBeginsThreeTimesAsFar) {
    expect_follows_adam({.learning_rate = kRate, .bias_correction = false});
}

// Random networks have it too (random_networks_test.cpp), and follow the reference.
TEST(LevenbergMarquardt, UpdatesAlikeAtOnce) {
    Model m("second");
    Tensor x = m.input("image", {2, 8, 8});
    x = average_pool(tanh(conv(x, 18, {.kernel = 3})), {.window = 2});
    m.classify(-rbf(dense(flatten(x), 7, {.activation = tanh}), 5));
    m.optimizer(levenberg_marquardt({.rho = 0.5, .weight_decay = 0.01}));
    const Network network = finish(m).network.value();
    const BuiltLibraries apart(network, {.batch = kBatch, .target = "portable"});
    const BuiltLibraries at_once(network,
                                 {.batch = kBatch, .target = "portable", .update_at_once = true});
    for (int variant = 1; variant <= 3; variant++) {
        if (!can_run(apart.train().info()->variants[variant - 1])) continue;
        SCOPED_TRACE(testing::Message() << "variant " << variant);
        Trainer trainer(apart.train(), 1, variant), twin(at_once.train(), 3, variant);
        const float* average = trainer.tensor("conv1.w.curvature");
        const float* weights = trainer.tensor("conv1.w");
        for (int number = 1; number <= kSteps; number++) {
            const float before = weights[0];
            const int samples = number == 2 ? kBatch - 3 : kBatch;
            trainer.step(static_cast<uint64_t>(number), samples, kRate);
            twin.step(static_cast<uint64_t>(number), samples, kRate);
            EXPECT_TRUE(trainer.weights() == twin.weights()) << "step " << number;
            EXPECT_GT(average[0], 0);
            EXPECT_NE(weights[0], before);
        }
    }
}

}  // namespace
}  // namespace emulsion::test
