// Whole training libraries: bits that do not depend on threads or instruction set, part batches,
// losses that are not finite, batch norm of single values.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "compiler/plan/plan.h"
#include "dsl/emulsion.h"
#include "dsl/finish.h"
#include "runtime/abi/instance.h"
#include "schedules/library.h"
#include "tests/integration/integration_support.h"
#include "tests/support/golden.h"
#include "tests/support/smallest_budget.h"

namespace emulsion::test {
namespace {

constexpr int kBatch = 8;

bool is_long() { return std::getenv("EMULSION_LONG_TESTS") != nullptr; }

// Weights and state after some steps, part batches among them.
struct Outcome {
    std::vector<std::byte> weights, state;
    float loss = 0;
    bool operator==(const Outcome&) const = default;
};

Outcome train(const emulsion_train_library& library, int threads, int variant, int steps) {
    Trainer trainer(library, threads, variant);
    for (int i = 0; i < steps; i++)
        trainer.step(static_cast<uint64_t>(i), i % 5 == 4 ? 3 : kBatch, 0.02f);
    EXPECT_TRUE(std::isfinite(trainer.loss()));
    return {trainer.weights(), trainer.state(), trainer.loss()};
}

void expect_equal_bits_for_all_threads(const Network& network) {
    const BuiltLibraries built(network, {.batch = kBatch});
    const int steps = is_long() ? 100 : 20;
    const Outcome expected = train(built.train(), 1, 0, steps);
    for (int threads : {2, 3, 4}) {
        EXPECT_TRUE(train(built.train(), threads, 0, steps) == expected) << threads << " threads";
    }
}

TEST(TrainingBits, OfLenetDoNotDependOnThreads) {
    expect_equal_bits_for_all_threads(golden_network("lenet"));
}
TEST(TrainingBits, OfAResidualNetworkDoNotDependOnThreads) {
    expect_equal_bits_for_all_threads(residual_network());
}
TEST(TrainingBits, OfASmallNetworkDoNotDependOnThreads) {
    expect_equal_bits_for_all_threads(small_network());
}

// Every variant of a portable library that this processor runs trains; those with fused
// multiply-add agree bit by bit.
void expect_variants_agree(const Network& network) {
    const BuiltLibraries built(network, {.batch = kBatch, .target = "portable"});
    const emulsion_info& info = *built.train().info();
    ASSERT_EQ(info.variant_count, 3);
    const Outcome baseline = train(built.train(), 2, 1, 5);
    constexpr uint32_t kBoth = EMULSION_CPU_AVX2 | EMULSION_CPU_AVX512;
    if ((emulsion_cpu_features() & kBoth) != kBoth)
        GTEST_SKIP() << "this processor lacks AVX2 or AVX-512";
    const Outcome avx2 = train(built.train(), 2, 2, 5), avx512 = train(built.train(), 2, 3, 5);
    EXPECT_TRUE(avx2 == avx512) << "other bits with AVX2 than with AVX-512";
    EXPECT_NEAR(baseline.loss, avx2.loss, 1e-3 * std::abs(avx2.loss));
}

TEST(TrainingBits, OfLenetDoNotDependOnTheVariant) {
    expect_variants_agree(golden_network("lenet"));
}
TEST(TrainingBits, OfAResidualNetworkDoNotDependOnTheVariant) {
    expect_variants_agree(residual_network());
}

// ---- Updates at once ----

void expect_updates_at_once_agree(const Network& network) {
    const BuiltLibraries apart(network, {.batch = kBatch});
    const BuiltLibraries at_once(network, {.batch = kBatch, .update_at_once = true});
    EXPECT_TRUE(train(apart.train(), 2, 0, 10) == train(at_once.train(), 2, 0, 10));
    emulsion_sizes before{}, after{};
    ASSERT_EQ(apart.train().sizes(2, &before), EMULSION_OK);
    ASSERT_EQ(at_once.train().sizes(2, &after), EMULSION_OK);
    EXPECT_GT(before.bytes[EMULSION_GRADIENTS], 0u);
    EXPECT_EQ(after.bytes[EMULSION_GRADIENTS], 0u);
    EXPECT_LT(after.bytes[EMULSION_WORKSPACE],
              before.bytes[EMULSION_WORKSPACE] + before.bytes[EMULSION_GRADIENTS]);
}

TEST(UpdateAtOnce, OfLenetGivesTheSameBits) {
    expect_updates_at_once_agree(golden_network("lenet"));
}
TEST(UpdateAtOnce, OfAResidualNetworkGivesTheSameBits) {
    expect_updates_at_once_agree(residual_network());
}
TEST(UpdateAtOnce, OfASmallNetworkWithAdamGivesTheSameBits) {
    expect_updates_at_once_agree(small_network());
}

// The test of the loss stands in front of all updates.
TEST(UpdateAtOnce, NothingChangesWhereTheLossIsNotFinite) {
    for (const Network& network : {residual_network(), small_network()}) {
        const BuiltLibraries built(network, {.batch = kBatch, .update_at_once = true});
        Trainer trainer(built.train(), 2);
        trainer.step(0, kBatch);
        const auto weights = trainer.weights(), state = trainer.state();
        trainer.ports.fill(1, trainer.classes);
        trainer.ports.input(0)[17] = std::numeric_limits<float>::quiet_NaN();
        EXPECT_EQ(trainer.library.step(trainer.instance(), trainer.ports.call(kBatch), 0.05f),
                  EMULSION_NOT_FINITE);
        EXPECT_TRUE(trainer.weights() == weights && trainer.state() == state);
        trainer.step(1, kBatch);
        EXPECT_FALSE(trainer.weights() == weights || trainer.state() == state);
    }
}

// ---- Memory budgets ----

// The bits of `network` in the least memory are those in all it takes, and the same for any number
// of threads.
void expect_budget_changes_no_bits(const Network& network, LibraryOptions options) {
    BuildOptions build;
    build.batch = options.batch = kBatch;
    build.exact = options.exact;
    build.update_at_once = options.update_at_once;
    const RecipeLibrary recipes = make_library();
    const int64_t least = smallest_budget([&](int64_t budget) {
        build.memory_budget = budget;
        plan_of(network, recipes, build, /*training=*/true);
    });
    const BuiltLibraries whole(network, options);
    options.memory_budget = least;
    const BuiltLibraries budgeted(network, options);
    const Outcome expected = train(whole.train(), 2, 0, 10);
    for (int threads : {1, 2, 3})
        EXPECT_TRUE(train(budgeted.train(), threads, 0, 10) == expected) << threads << " threads";
    emulsion_sizes before{}, after{};
    ASSERT_EQ(whole.train().sizes(2, &before), EMULSION_OK);
    ASSERT_EQ(budgeted.train().sizes(2, &after), EMULSION_OK);
    EXPECT_LT(after.bytes[EMULSION_WORKSPACE], before.bytes[EMULSION_WORKSPACE]);
}

TEST(MemoryBudget, OfLenetGivesTheSameBits) {
    expect_budget_changes_no_bits(golden_network("lenet"), {});
}
TEST(MemoryBudget, OfAResidualNetworkGivesTheSameBits) {
    expect_budget_changes_no_bits(residual_network(), {});
    expect_budget_changes_no_bits(residual_network(), {.exact = true, .update_at_once = true});
}
TEST(MemoryBudget, OfASmallNetworkWithDropoutGivesTheSameBits) {
    expect_budget_changes_no_bits(small_network(), {.update_at_once = true});
}
TEST(MemoryBudget, OfAMobileNetworkGivesTheSameBits) {
    expect_budget_changes_no_bits(mobile_network(), {});
}
// Chains of concatenations whose parts are written in place, and dropout in front of each.
Network branching_network() {
    Model m("branching");
    Tensor x = relu(batch_norm(conv(m.input("image", {3, 12, 12}), 16, {.kernel = 3})));
    for (int i = 0; i < 4; i++) {
        const Tensor squeezed = relu(conv(dropout(x, {.rate = 0.2}), 8, {.kernel = 1}));
        const Tensor wide = batch_norm(conv(squeezed, 16, {.kernel = 3, .padding = same}));
        x = concatenate({relu(conv(squeezed, 16, {.kernel = 1})), relu(wide)});
    }
    m.classify(dense(global_average_pool(x), 5));
    m.optimizer(sgd({.learning_rate = 0.05, .momentum = 0.9}));
    return finish(m).network.value();
}

TEST(MemoryBudget, OfConcatenationsGivesTheSameBits) {
    expect_budget_changes_no_bits(branching_network(), {});
    expect_budget_changes_no_bits(branching_network(), {.exact = true, .update_at_once = true});
}

// ---- Part batches ----

double relative_difference(const float* a, const float* b, size_t count) {
    double difference = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        difference += std::pow(static_cast<double>(a[i]) - b[i], 2);
        norm += std::pow(static_cast<double>(b[i]), 2);
    }
    return std::sqrt(difference / std::max(norm, 1e-30));
}

// A step on `samples` of a library compiled for kBatch equals that of a library compiled for them
// alone.
void expect_part_batches_exact(const Network& network) {
    const BuiltLibraries whole(network, {.batch = kBatch});
    for (int samples : {1, 3, 7}) {
        SCOPED_TRACE(samples);
        const BuiltLibraries exact(network, {.batch = samples});
        Trainer a(whole.train(), 2), b(exact.train(), 2);
        for (Trainer* trainer : {&a, &b}) {
            trainer->ports.fill(3, trainer->classes);
            // The same values in both: random data of the larger batch would differ in their
            // labels' place.
            for (size_t i = 0;
                 i < static_cast<size_t>(samples) * trainer->info.inputs[0].bytes / sizeof(float);
                 i++) {
                trainer->ports.input(0)[i] = std::sin(static_cast<float>(i * i % 1001));
            }
            for (int i = 0; i < samples; i++) trainer->ports.labels()[i] = i % 3;
            ASSERT_EQ(trainer->library.forward_backward(trainer->instance(),
                                                        trainer->ports.call(samples)),
                      EMULSION_OK);
        }
        EXPECT_NEAR(a.loss(), b.loss(), 1e-5 * std::abs(b.loss()));
        EXPECT_EQ(*a.ports.output("correct"), *b.ports.output("correct"));
        for (int i = 0; i < a.info.tensor_count; i++) {
            const emulsion_tensor& tensor = a.info.tensors[i];
            const std::string name =
                tensor.trained ? std::string("gradient ") + tensor.name : tensor.name;
            EXPECT_LT(
                relative_difference(a.tensor(name), b.tensor(name), tensor.bytes / sizeof(float)),
                1e-5)
                << name;
        }
    }
}

TEST(PartBatch, OfLenetIsExact) { expect_part_batches_exact(golden_network("lenet")); }
TEST(PartBatch, OfAResidualNetworkIsExact) { expect_part_batches_exact(residual_network()); }

// ---- Numbers that are none ----

TEST(NotFinite, StepChangesNothingAndTheNextOneGoesOn) {
    const BuiltLibraries built(residual_network(), {.batch = kBatch});
    Trainer trainer(built.train(), 2), twin(built.train(), 2);
    for (uint64_t i = 0; i < 3; i++) {
        trainer.step(i, kBatch);
        twin.step(i, kBatch);
    }
    const auto weights = trainer.weights(), state = trainer.state();
    for (float value :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        trainer.ports.fill(3, trainer.classes);
        trainer.ports.input(0)[17] = value;
        EXPECT_EQ(trainer.library.step(trainer.instance(), trainer.ports.call(kBatch), 0.05f),
                  EMULSION_NOT_FINITE);
        EXPECT_STREQ(
            trainer.library.error(trainer.instance()),
            "the loss of step 3 is NaN: this step has changed nothing, but an earlier one may "
            "have made parameters that are not finite");
        EXPECT_EQ(trainer.library.update(trainer.instance(), 0.05f), EMULSION_NOT_FINITE);
        EXPECT_TRUE(trainer.weights() == weights && trainer.state() == state);
    }
    trainer.step(3, kBatch);
    twin.step(3, kBatch);
    EXPECT_TRUE(trainer.weights() == twin.weights() && trainer.state() == twin.state());
}

// ---- Adam ----

// One weight that starts at 0 and always has the gradient 1.
Network one_weight_network(double beta2, bool correction) {
    Model m("one_weight");
    m.loss(dense(m.input("x", {1}), 1, {.bias = false, .init = Init::zeros(), .name = "only"}));
    m.output("y", m.input("z", {1}));
    m.optimizer(adam({.learning_rate = 0.01, .beta2 = beta2, .bias_correction = correction}));
    return finish(m).network.value();
}

double weight_after(const BuiltLibraries& built, int steps) {
    Trainer trainer(built.train());
    for (int i = 0; i < steps; i++) {
        trainer.ports.input(0)[0] = 1;
        EXPECT_EQ(trainer.library.step(trainer.instance(), trainer.ports.call(1), 0.01f),
                  EMULSION_OK)
            << trainer.library.error(trainer.instance());
    }
    return trainer.tensor("only.w")[0];
}

// The first step of a run is the rate with the correction, 3.1623 times that without.
TEST(Adam, FirstStepsAreCorrected) {
    for (double beta2 : {0.999, 0.9999}) {
        for (bool at_once : {false, true}) {
            const BuiltLibraries built(one_weight_network(beta2, true),
                                       {.batch = 1, .update_at_once = at_once});
            EXPECT_NEAR(weight_after(built, 1), -0.01, 2e-6 * 0.01);
            EXPECT_NEAR(weight_after(built, 10), -0.1, 2e-6 * 0.1);
        }
    }
    const BuiltLibraries built(one_weight_network(0.999, false), {.batch = 1});
    EXPECT_NEAR(weight_after(built, 1), -0.031623, 1e-6);
}

// ---- Batch norm ----

Network one_value_network() {
    Model m("one_value");
    Tensor x = m.input("image", {1, 1, 1});
    m.mean_squared_error(flatten(batch_norm(x, {.name = "norm"})));
    m.optimizer(sgd({.learning_rate = 0}));
    FinishedModel result = finish(m);
    return result.network.value();
}

// One value for each channel: the unbiased factor n / (n - 1) is taken as 1.
TEST(BatchNorm, OfOneValueKeepsFiniteStatistics) {
    const BuiltLibraries built(one_value_network(), {.batch = 4});
    Trainer trainer(built.train());
    trainer.tensor("norm.gamma")[0] = 2;
    trainer.tensor("norm.beta")[0] = 0.5f;
    trainer.ports.input(0)[0] = 3;
    trainer.ports.input(1)[0] = 0;
    ASSERT_EQ(trainer.library.step(trainer.instance(), trainer.ports.call(1), 0.0f), EMULSION_OK)
        << trainer.library.error(trainer.instance());
    EXPECT_FLOAT_EQ(trainer.loss(), 0.25f);  // (0.5 - 0)^2
    EXPECT_FLOAT_EQ(trainer.tensor("norm.running_mean")[0], 0.3f);
    EXPECT_FLOAT_EQ(trainer.tensor("norm.running_variance")[0], 0.9f);
}

}  // namespace
}  // namespace emulsion::test
