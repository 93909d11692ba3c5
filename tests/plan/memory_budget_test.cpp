// Training steps in less memory: what runs again, and what that takes. make_plan proves each plan
// (plan/verify_plan.h), so what runs again makes what the graph says.
#include "compiler/plan/memory_budget.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "compiler/graph/text.h"
#include "tests/plan/plan_support.h"
#include "tests/support/golden.h"
#include "tests/support/random_network.h"
#include "tests/support/sanitized.h"
#include "tests/support/smallest_budget.h"

namespace emulsion::test {
namespace {

Plan plan_within(const Network& network, int batch, int64_t budget, bool at_once = false) {
    PlanSettings settings{true, {batch}, true, {isa_avx2()}, at_once};
    settings.memory_budget = budget;
    return plan_network(network, settings);
}

int64_t bytes_of(const Plan& plan) { return planned_bytes(plan, plan.variants[0]); }

int64_t least_of(const Network& network, int batch, bool at_once = false) {
    return smallest_budget([&](int64_t budget) { plan_within(network, batch, budget, at_once); });
}

// Calls of kernels with all they touch of the graph: those of a group that runs again are equal.
std::map<std::string, int> runs_of(const Plan& plan) {
    std::map<std::string, int> runs;
    const VariantPlan& variant = plan.variants[0];
    for (const PlannedCall& call : variant.batches[0].calls) {
        std::string text =
            variant.kernels[static_cast<size_t>(call.kernel)].identity(variant.isa) + call.name;
        for (int buffer : call.buffers)
            text += " " + variant.buffers[static_cast<size_t>(buffer)].name;
        runs[text]++;
    }
    return runs;
}

// Both plans run the same kernels on the same values, the second one some of them several times,
// all of those behind the forward pass.
void expect_same_kernels(const Plan& once, const Plan& again) {
    const std::map<std::string, int> expected = runs_of(once), runs = runs_of(again);
    ASSERT_EQ(runs.size(), expected.size());
    for (const auto& [text, count] : expected) {
        ASSERT_TRUE(runs.contains(text)) << text;
        EXPECT_GE(runs.at(text), count);
    }
    for (const PlannedCall& call : again.variants[0].batches[0].calls) {
        const bool is_again = call.reason.starts_with("again, for the memory budget; ");
        EXPECT_TRUE(!is_again || call.stage == Stage::backward) << call.name;
    }
}

void expect_fits(const Network& network, int batch, bool at_once) {
    const Plan whole = plan_within(network, batch, 0, at_once);
    const int64_t most = bytes_of(whole), least = least_of(network, batch, at_once);
    ASSERT_LE(least, most);
    EXPECT_TRUE(whole.variants[0].budget.empty());
    for (int64_t budget : {least, (least + most) / 2, most}) {
        SCOPED_TRACE(fmt::format("{} bytes of {} to {}", budget, least, most));
        const Plan plan = plan_within(network, batch, budget, at_once);
        EXPECT_LE(bytes_of(plan), budget);
        expect_same_kernels(whole, plan);
        EXPECT_EQ(call_count(plan) > call_count(whole), budget < most);
        EXPECT_NE(
            print(plan).find(fmt::format("memory budget of {} bytes: {} instead of {}; {} "
                                         "kernels run again beside {}, ",
                                         budget, bytes_of(plan), most,
                                         call_count(plan) - call_count(whole), call_count(whole))),
            std::string::npos);
    }
}

TEST(MemoryBudget, OfExampleNetworks) {
    struct Case {
        ExampleNetwork network;
        bool at_once;
    };
    for (const auto& [network, at_once] : {Case{{"lenet", 64}, false},
                                           {{"resnet20", 128}, true},
                                           {{"squeezenet1_1", 16}, false},
                                           {{"mobilenet_v2", 16}, true}}) {
        if (is_left_out(network.name)) continue;
        SCOPED_TRACE(fmt::format("{} at once={}", network.name, at_once));
        expect_fits(golden_network(network.name), network.batch, at_once);
    }
}

// make_plan proves that what is computed is what the graph says.
TEST(MemoryBudget, OfRandomNetworks) {
    int rerun = 0;
    for (uint64_t seed = 1; seed <= 120; seed++) {
        const Network network = random_network(seed);
        for (bool at_once : {false, true}) {
            SCOPED_TRACE(fmt::format("seed {} at once={}\n{}", seed, at_once, print(network)));
            const int64_t least = least_of(network, 6, at_once);
            const Plan plan = plan_within(network, 6, least, at_once);
            EXPECT_EQ(bytes_of(plan), least);
            rerun += call_count(plan) > call_count(plan_within(network, 6, 0, at_once));
            if (::testing::Test::HasFailure()) return;
        }
    }
    EXPECT_GE(rerun, 60);
}

// A chain of n equal maps that nobody may make again one by one: with segments about 2 sqrt(n) of
// them are enough.
TEST(MemoryBudget, OfAChainGrowsWithTheRootOfItsLength) {
    constexpr int kLength = 64;
    std::string text =
        "network chain\noptimizer sgd {learning_rate=0.1}\nschedule constant\n"
        "graph chain {\n  %x0 = input() : f32[n,16,32,32]\n";
    for (int i = 0; i < kLength; i++) {
        text += fmt::format(
            "  %w{0} = parameter() {{init=\"he\", fan_in=144}} : f32[16,16,3,3]\n"
            "  %c{0} = conv2d(%x{0}, %w{0}) {{padding=[1,1,1,1]}} : f32[n,16,32,32]\n"
            "  %x{1} = tanh(%c{0}) : f32[n,16,32,32]\n",
            i, i + 1);
    }
    text += fmt::format("  %loss = reduce(%x{}) {{mean=true}} : f32[]\n", kLength);
    text += "  output \"loss\" %loss\n}\n";
    const Network network = parse_network(text, "chain.emu");
    const int64_t map = 4 * 16 * 32 * 32 * 8;
    const int64_t fixed = plan_within(network, 8, 0).parameter_bytes * 2;
    EXPECT_GE(bytes_of(plan_within(network, 8, 0)), kLength * map);
    const int64_t least = least_of(network, 8);
    EXPECT_LE(least, fixed + (2 * 8 + 6) * map);
    const Plan plan = plan_within(network, 8, least);
    int convolutions = 0;  // of the forward pass, and again
    for (const PlannedCall& call : plan.variants[0].batches[0].calls)
        convolutions += call.name.starts_with("c") && call.name.find('.') == call.name.npos;
    EXPECT_LE(convolutions, 2 * kLength);
}

TEST(MemoryBudget, WhatIsTooSmallIsRefusedWithTheSmallest) {
    const Network network = golden_network("lenet");
    const int64_t least = least_of(network, 64), least_at_once = least_of(network, 64, true);
    EXPECT_EQ(message_of([&] { plan_within(network, 64, least - 1); }),
              fmt::format("error[memory]: the memory budget is {} bytes, but a training step of "
                          "'lenet' with 64 samples needs {} at least, whatever runs again\n  fix: "
                          "allow {} bytes or more, or choose a smaller batch, or updates at once",
                          least - 1, least, least));
    EXPECT_EQ(message_of([&] { plan_within(network, 64, 1, true); }),
              fmt::format("error[memory]: the memory budget is 1 bytes, but a training step of "
                          "'lenet' with 64 samples needs {} at least, whatever runs again\n  fix: "
                          "allow {} bytes or more, or choose a smaller batch",
                          least_at_once, least_at_once));
}

}  // namespace
}  // namespace emulsion::test
