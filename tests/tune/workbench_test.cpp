// Candidates that misbehave in every way cost themselves and nothing more.
#include "schedules/tune/cpu_workbench.h"

#include <Halide.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <csignal>

#include "compiler/recipe/kernel_context.h"
#include "compiler/support/interrupts.h"
#include "compiler/support/workers.h"
#include "runtime/abi/instance.h"
#include "schedules/library.h"
#include "schedules/tune/results_check.h"
#include "tests/tune/tune_support.h"

namespace emulsion::test {
namespace {

using Builder = std::function<std::vector<Halide::Func>(KernelContext&)>;

// A recipe for the dense layer of tune_support.h, built as the test says.
class Injected : public Recipe {
  public:
    Injected(std::string name, Builder builder)
        : name_(std::move(name)), builder_(std::move(builder)) {}
    std::string_view name() const override { return name_; }
    bool applies(const Group&, const Isa&) const override { return true; }
    std::vector<Tiling> tilings(const Group&, const Isa&) const override { return {{}}; }
    double cost(const Group&, const Tiling&, const Isa&, const Machine&) const override {
        return 1;
    }
    std::vector<Halide::Func> build(KernelContext& context, const Tiling&) const override {
        return builder_(context);
    }

  private:
    std::string name_;
    Builder builder_;
};

constexpr int kInputs = 24;
constexpr int64_t kStepBytes = 1 << 20;

std::vector<Halide::Func> reads(KernelContext& context, const Halide::Expr& place, Halide::Var f,
                                Halide::Var n) {
    Halide::Func result("result");
    result(f, n) = context.operand(0)(place, n);
    return {result};
}

class MisbehavingCandidates : public testing::Test {
  protected:
    MisbehavingCandidates() : library_(make_library()) {
        add("refused", [](KernelContext&) -> std::vector<Halide::Func> {
            throw std::runtime_error("this recipe has a fault");
        });
        add("crashed", [](KernelContext&) -> std::vector<Halide::Func> {
            raise(SIGSEGV);
            return {};
        });
        add("hung", [](KernelContext&) -> std::vector<Halide::Func> {
            for (;;) pause();
        });
        add("memory", [](KernelContext&) -> std::vector<Halide::Func> {
            std::vector<char> much(size_t{20} << 30, 'x');
            throw std::runtime_error(std::string(much.begin(), much.begin() + 5));
        });
        add("wrong", [](KernelContext& context) {
            Halide::Var f("f"), n("n");
            return reads(context, f % kInputs, f, n);
        });
        add("crashed_running", [](KernelContext& context) {
            Halide::Var f("f"), n("n");
            return reads(context, f + 4 * kInputs, f, n);  // behind the last sample
        });
        add("hung_running", [](KernelContext& context) {
            Halide::Var f("f"), n("n");
            Halide::RDom r(0, 2'000'000'000, "r");
            Halide::Func result("result");
            result(f, n) = 0.0f;
            result(f, n) = context.operand(0)((f + r) % kInputs, n) - 0.5f * result(f, n);
            return std::vector<Halide::Func>{result};
        });
    }

    void add(const std::string& name, const Builder& builder) {
        library_.push_back(std::make_unique<Injected>(name, builder));
    }

    static Candidate own(const PlannedKernel& kernel) {
        return {kernel.recipe, kernel.recipe_version, kernel.tiling};
    }
    // Another tiling of its recipe.
    Candidate another(const PlannedKernel& kernel) {
        Candidate candidate = own(kernel);
        for (const auto& recipe : library_) {
            if (recipe->name() == kernel.recipe)
                candidate.tiling = recipe->tilings(kernel.group, native_isa()).at(1);
        }
        return candidate;
    }

    Trial trial(Workbench& workbench, const PlannedKernel& kernel, const std::string& name) {
        const Candidate candidate{name, 1, {}};
        const Trial compiled = workbench.compile({candidate})[0];
        return compiled.outcome != Outcome::slower
                   ? compiled
                   : workbench.compare(own(kernel), candidate, kTrialEffort);
    }

    RecipeLibrary library_;
};

TEST_F(MisbehavingCandidates, CostThemselvesAlone) {
    const PlannedKernel kernel = dense_kernel(make_library(), native_isa());
    CpuWorkbenchOptions options, hurried_compiler, hurried_run;
    options.threads = 2;
    options.memory_bytes = int64_t{1} << 30;
    hurried_compiler.compile_seconds = 5;
    hurried_run.run_seconds = 5;
    // The cache then has the kernel itself for the others, whom a busy machine leaves no time.
    CpuWorkbench workbench(library_, native_isa(), options);
    ASSERT_EQ(workbench.take_up(kernel, kStepBytes), "");
    const auto expect_at = [&](Workbench& bench, const std::string& name, Outcome outcome,
                               const std::string& note) {
        const Trial result = trial(bench, kernel, name);
        EXPECT_EQ(to_string(result.outcome), to_string(outcome)) << name << ": " << result.note;
        EXPECT_NE(result.note.find(note), std::string::npos) << name << ": " << result.note;
        EXPECT_TRUE(result.times.pairs.empty());
    };
    const auto expect = [&](const std::string& name, Outcome outcome, const std::string& note) {
        expect_at(workbench, name, outcome, note);
    };
    const auto expect_hung = [&](const std::string& name, const CpuWorkbenchOptions& limits) {
        CpuWorkbench bench(library_, native_isa(), limits);
        ASSERT_EQ(bench.take_up(kernel, kStepBytes), "");
        expect_at(bench, name, Outcome::hung, "took longer than 5 s");
        // And it is as good as before: the kernel against another tiling of it.
        const Candidate other = another(kernel);
        ASSERT_EQ(bench.compile({other})[0].outcome, Outcome::slower);
        EXPECT_GE(bench.compare(own(kernel), other, kTrialEffort).times.pairs.size(), 2u);
    };
    expect("refused", Outcome::refused, "this recipe has a fault");
    expect("crashed", Outcome::crashed, "killed by signal 11");
    expect("memory", Outcome::memory, "ran out of memory");
    expect("wrong", Outcome::wrong, "result 0: a value is off by");
    expect("crashed_running", Outcome::crashed, "killed by signal 11");
    expect("unknown", Outcome::refused, "unknown recipe 'unknown'");
    const Candidate other = another(kernel);
    ASSERT_EQ(workbench.compile({other})[0].outcome, Outcome::slower);
    const Trial result = workbench.compare(own(kernel), other, kTrialEffort);
    EXPECT_GE(result.times.pairs.size(), 2u) << result.note;
    EXPECT_GT(result.times.candidate_seconds(), 0);
    expect_hung("hung", hurried_compiler);
    expect_hung("hung_running", hurried_run);
}

TEST_F(MisbehavingCandidates, AreNotTakenForTheKernelsOwnSchedule) {
    PlannedKernel kernel = dense_kernel(make_library(), native_isa());
    kernel.recipe = "wrong";
    kernel.tiling = {};
    CpuWorkbench workbench(library_, native_isa(), {});
    EXPECT_EQ(workbench.take_up(kernel, kStepBytes).substr(0, 55),
              "its own schedule differs from the plain definition: res");
}

// Failures too: a candidate that hangs a compiler hangs it once.
TEST_F(MisbehavingCandidates, AreCompiledAheadOnce) {
    const PlannedKernel kernel = dense_kernel(make_library(), native_isa());
    const Candidate hung{"hung", 1, {}}, crashed{"crashed", 1, {}}, wrong{"wrong", 1, {}},
        other = another(kernel);
    {  // the cache then has what is no fault of its own
        CpuWorkbench patient(library_, native_isa(), {});
        ASSERT_EQ(patient.take_up(kernel, kStepBytes), "");
        patient.compile({wrong, other});
    }
    CpuWorkbenchOptions options;
    options.compile_seconds = 3;
    CpuWorkbench workbench(library_, native_isa(), options);
    if (!workbench.compiles_ahead()) GTEST_SKIP() << "this machine has one processor";
    ASSERT_EQ(workbench.take_up(kernel, kStepBytes), "");
    workbench.compile({other});
    workbench.compile_ahead({hung, crashed, wrong});
    EXPECT_GE(workbench.compare(own(kernel), other, kTrialEffort).times.pairs.size(), 2u);
    const std::vector<Trial> trials = workbench.compile({wrong, crashed, hung});
    EXPECT_EQ(to_string(trials[0].outcome), "slower");
    EXPECT_EQ(to_string(trials[1].outcome), "crashed");
    EXPECT_EQ(to_string(trials[2].outcome), "hung");
    workbench.compile_ahead({hung});  // and given up with the workbench
}

TEST(Processors, AreSharedByCores) {
    using List = std::vector<int>;
    const Cores four = {{0, 4}, {1, 5}, {2, 6}, {3, 7}};
    ProcessorShares shares = share_processors(four, 2, 8, 8);
    EXPECT_EQ(shares.timing, (List{0, 4, 1, 5}));
    EXPECT_EQ(shares.spare, (List{2, 6, 3, 7}));
    shares = share_processors(four, 1, 3, 8);  // 6 shares a core with what is compiled
    EXPECT_EQ(shares.timing, (List{0, 4, 3, 7}));
    EXPECT_EQ(shares.spare, (List{1, 5, 2}));
    EXPECT_EQ(share_processors(four, 2, 8, 3).spare, (List{2}));  // of a quota
    EXPECT_EQ(share_processors(four, 4, 8, 8).spare, List{});
    EXPECT_EQ(share_processors(four, 2, 8, 2).spare, List{});
    EXPECT_EQ(share_processors({{0}}, 1, 1, 1).spare, List{});
    EXPECT_EQ(share_processors({{0}, {1}}, 1, 2, 2).timing, List{0});
    int allowed = 0;
    for (const auto& core : allowed_cores()) allowed += static_cast<int>(core.size());
    EXPECT_GE(allowed, emulsion_cpu_count());
}

TEST(ResultsCheck, FindsWhatIsWrong) {
    const PlannedKernel kernel = dense_kernel(make_library(), native_isa());
    std::vector<GuardedBlock> actual = result_blocks(kernel.group, 2),
                              expected = result_blocks(kernel.group, 2);
    auto* values = static_cast<float*>(actual[0].data());
    auto* right = static_cast<float*>(expected[0].data());
    for (int i = 0; i < 64; i++) values[i] = right[i] = static_cast<float>(i);
    EXPECT_EQ(difference(kernel.group, actual, expected, 1e-5), "");
    values[7] += 1e-4f;
    EXPECT_EQ(difference(kernel.group, actual, expected, 1e-5), "");
    values[7] += 1e-2f;
    EXPECT_NE(difference(kernel.group, actual, expected, 1e-5), "");
    values[7] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_EQ(difference(kernel.group, actual, expected, 1e-5),
              "result 0: value 7 is nan, but 7 is expected");
    values[7] = 7;
    static_cast<std::byte*>(actual[0].data())[-1] = std::byte{0};
    EXPECT_EQ(difference(kernel.group, actual, expected, 1e-5), "it writes beside result 0");
}

// What a job starts holds the pipe open, and so is known to have ended where the pipe has.
TEST(ForkedJobs, EndWithAllThatTheyStartedWhenASignalComes) {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    const pid_t tester = getpid();
    const auto job = [&](size_t index) -> std::string {
        const bool is_first = fork() != 0;
        if (is_first && index == 1) kill(tester, SIGTERM);
        for (;;) pause();
    };
    {
        const CatchInterrupts interrupts;
        EXPECT_THROW(run_forked(2, job, [] { return std::string(); }, {2, 60, 0}), Interrupted);
    }
    close(ends[1]);
    pollfd end{ends[0], POLLIN, 0};
    EXPECT_EQ(poll(&end, 1, 5000), 1);
    EXPECT_NE(end.revents & POLLHUP, 0);
    close(ends[0]);
}

}  // namespace
}  // namespace emulsion::test
