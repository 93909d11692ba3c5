// What is timed: tensors that no run spoils, and a network's own step.
#include "schedules/tune/cpu_timing.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <functional>

#include "compiler/codegen/library.h"
#include "compiler/ops/sgd.h"
#include "compiler/ops/sources.h"
#include "compiler/pipeline.h"
#include "compiler/plan/choice.h"
#include "compiler/support/workers.h"
#include "schedules/library.h"
#include "schedules/tune/cpu_workbench.h"
#include "schedules/tune/machine_class.h"
#include "tests/support/golden.h"

namespace emulsion::test {
namespace {

// Linking and loading leave signal handlers behind: they have a process of their own, as in the
// tuner.
void in_child(const std::function<void()>& body) {
    const auto job = [&](size_t) -> std::string {
        body();
        std::fflush(nullptr);
        return testing::Test::HasFailure() ? "see above" : "";
    };
    const auto describe = [] { return std::string("an exception"); };
    const JobResult result = run_forked(1, job, describe, {1, 300, 0})[0];
    EXPECT_EQ(result.failure, "");
    EXPECT_EQ(result.output, "");
}

constexpr int64_t kWeights = 48;

PlannedKernel sgd_kernel(const RecipeLibrary& library) {
    GraphBuilder builder("group");
    const Value w = builder.add(std::make_shared<Input>(plain_type({kWeights})), {}, "a0");
    const Value g = builder.add(std::make_shared<Input>(plain_type({kWeights})), {}, "a1");
    const Value rate = builder.add(std::make_shared<Scalar>(plain_type({})), {}, "a2");
    const Value next = builder.add(std::make_shared<SgdPlain>(), {w, g, rate}, "v0");
    builder.output("r0", next);
    PlannedKernel kernel;
    kernel.group.anchor = next.node;
    kernel.group.body = builder.build();
    const Choice choice = cheapest_recipe(library, kernel.group, native_isa(), {});
    kernel.recipe = choice.recipe->name();
    kernel.recipe_version = choice.recipe->version();
    kernel.tiling = choice.tiling;
    return kernel;
}

// An update that ran on its own result would give other numbers in each call.
TEST(RotatingTensors, GiveEachRunTheSameValues) {
    const RecipeLibrary library = make_library();
    const PlannedKernel kernel = sgd_kernel(library);
    const std::vector<CompiledKernel> compiled =
        compile_kernels({kernel}, native_isa(), library, {});
    const OperandValues values(kernel.group, 1, 1);
    for (int64_t i = 0; i < kWeights; i++) {
        static_cast<float*>(values.operand(0))[i] = 1;
        static_cast<float*>(values.operand(1))[i] = 0.5f;
    }
    in_child([&] {
        KernelSession session({{&kernel.group, compiled.data()}}, 1);
        RotatingTensors tensors(kernel.group, values, 6000);
        EXPECT_EQ(tensors.copies(), 11u);  // of 3 tensors of 192 bytes
        EXPECT_GT(session.run(0, 1, tensors, 35), 0);
        const float expected = 1 - values.arguments().numbers[0] * 0.5f;
        for (size_t copy = 0; copy < tensors.copies(); copy++) {
            const KernelArguments& arguments = tensors.next();
            for (int64_t i = 0; i < kWeights; i++) {
                EXPECT_EQ(static_cast<float*>(arguments.buffers[0])[i], 1);
                EXPECT_EQ(static_cast<float*>(arguments.buffers[1])[i], 0.5f);
                EXPECT_NEAR(static_cast<float*>(arguments.buffers[2])[i], expected, 1e-6);
            }
        }
    });
    EXPECT_EQ(RotatingTensors(kernel.group, values, 0).copies(), 1u);
}

TEST(RotatedBytes, AreThoseOfAStepUpToTwiceTheLastCache) {
    EXPECT_EQ(rotated_bytes(1000), 1000);
    const int64_t most = rotated_bytes(int64_t{1} << 50);
    EXPECT_LE(most, int64_t{256} << 20);
    EXPECT_GE(most, this_machine().l2_kib * 1024);
}

class NetworkSteps : public testing::Test {
  protected:
    NetworkSteps() : network_(golden_network("lenet")), library_(make_library()) {
        build_.batch = 2;
        build_.threads = 1;
    }
    Network network_;
    RecipeLibrary library_;
    BuildOptions build_;
};

TEST_F(NetworkSteps, LeaveTheParametersAsTheyWere) {
    for (const bool at_once : {false, true}) {
        build_.update_at_once = at_once;
        const Plan plan = plan_of(network_, library_, build_, /*training=*/true);
        const std::vector<CompiledKernel> kernels =
            compile_kernels(plan.variants[0].kernels, native_isa(), library_, {});
        in_child([&] {
            const std::string object = emulsion::make_library(network_, plan, {kernels}).object;
            NetworkSession session({object, object}, library_name(network_, true), true, 1);
            const GuardedBlock& parameters = session.memory(EMULSION_PARAMETERS);
            const std::string before(static_cast<const char*>(parameters.data()),
                                     parameters.bytes());
            for (const size_t k : {0u, 1u, 0u}) {
                const NetworkSession::Call call = session.run(k, 3);
                double kernel_seconds = 0;
                for (const double seconds : call.kernels) kernel_seconds += seconds;
                EXPECT_GT(kernel_seconds, 0);
                EXPECT_LE(kernel_seconds, call.seconds);
            }
            EXPECT_EQ(std::memcmp(before.data(), parameters.data(), before.size()), 0);
        });
    }
}

TEST_F(NetworkSteps, AreTimedInTurnWithAllTheirKernels) {
    CpuWorkbench workbench(library_, native_isa(), {});
    for (const bool training : {true, false}) {
        const Plan plan = plan_of(network_, library_, build_, training);
        const StepTimes times = workbench.time_steps(network_, {&plan, &plan}, kFirstStepEffort);
        ASSERT_GE(times.rounds.size(), 3u) << times.fault;
        for (const std::vector<StepRun>& round : times.rounds) {
            ASSERT_EQ(round.size(), 2u);
            for (const StepRun& run : round) {
                ASSERT_EQ(run.kernels.size(), plan.variants[0].kernels.size());
                for (const PlannedCall& call : plan.variants[0].batches[0].calls) {
                    if (call.stage == Stage::prepare) continue;
                    EXPECT_GT(run.kernels[static_cast<size_t>(call.kernel)], 0) << call.name;
                }
            }
        }
    }
}

TEST(StepTimes, PassThroughAPipe) {
    const StepTimes times{
        {{{3, {1, 2}}, {4, {1.5, 2.5}}}, {{5, {0, 1e-9}}, {6, {2, 3}}}}, true, ""};
    const StepTimes same = unpack_steps(pack(times));
    ASSERT_EQ(same.rounds.size(), 2u);
    EXPECT_TRUE(same.contended);
    for (size_t i = 0; i < 2; i++) {
        for (size_t k = 0; k < 2; k++) {
            EXPECT_EQ(same.rounds[i][k].seconds, times.rounds[i][k].seconds);
            EXPECT_EQ(same.rounds[i][k].kernels, times.rounds[i][k].kernels);
        }
    }
    EXPECT_TRUE(unpack_steps("").rounds.empty());
}

}  // namespace
}  // namespace emulsion::test
