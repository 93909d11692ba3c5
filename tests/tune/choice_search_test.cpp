// The search among choices above the kernels, on a workbench whose steps take as long as the test
// says.
#include <gtest/gtest.h>

#include <algorithm>

#include "runtime/support/path.h"
#include "schedules/library.h"
#include "tests/support/golden.h"
#include "tests/support/test_folder.h"
#include "tests/tune/fake_workbench.h"
#include "tests/tune/tune_support.h"

namespace emulsion::test {
namespace {

// A step takes less for each choice of its plan that the test likes.
class ChoiceWorkbench : public FakeWorkbench {
  public:
    std::string take_up(const PlannedKernel& kernel, int64_t step_bytes) override {
        FakeWorkbench::take_up(kernel, step_bytes);
        return kernel.group.signature().find(wrong_kernels) == std::string::npos ? "" : "is wrong";
    }
    StepTimes time_steps(const Network& network, const std::vector<const Plan*>& plans,
                         const Effort& effort) override {
        StepTimes times = FakeWorkbench::time_steps(network, plans, effort);
        for (std::vector<StepRun>& round : times.rounds) {
            for (size_t k = 0; k < plans.size(); k++) round[k].seconds = seconds_of(*plans[k]);
        }
        const bool is_confirmed = effort.least_pairs == kConfirmChoiceEffort.least_pairs &&
                                  effort.significance == kConfirmChoiceEffort.significance;
        const bool is_check = effort.least_pairs == kCheckChoiceEffort.least_pairs && !is_confirmed;
        times.contended =
            (is_confirmed && confirmation_is_contended) || (is_check && check_is_contended);
        return times;
    }

    std::string fast_word = "none";         // of a choice: a hundredth of the step less
    std::string wrong_kernels = "nowhere";  // whose signature has this
    std::string slow_kernels = "nowhere";   // whose signature has this: tuned, they cost the gain
    bool confirmation_is_contended = false, check_is_contended = false;

  private:
    double seconds_of(const Plan& plan) const {
        double seconds = 100;
        for (const PlannedKernel& kernel : plan.variants.back().kernels) {
            const bool is_slow = kernel.group.signature().find(slow_kernels) != std::string::npos;
            if (is_slow && !kernel.record.empty()) seconds += 10;
        }
        for (const NodeChoice& choice : plan.choices) {
            if (choice.word == fast_word) seconds -= 1;
        }
        return seconds;
    }
};

class ChoiceTuning : public testing::Test {
  protected:
    ChoiceTuning() : network_(golden_network("lenet")), library_(make_library()) {
        build_.batch = 4;
        build_.target = kTarget;
        options_.records = folder_ / "net.records";
        options_.journal = folder_ / "net.journal";
        options_.threads = 2;
        options_.choice_share = 1e9;
    }
    SilentReport run(int trials) {
        SilentReport report;
        options_.trials = trials;
        try {
            tune(network_, library_, build_, options_, workbench_, report);
        } catch (const Interrupted&) {
            EXPECT_TRUE(report.was_interrupted);
        }
        return report;
    }
    std::vector<TunedRecord> choices() const {
        std::vector<TunedRecord> list;
        if (!is_file(options_.records)) return list;
        std::vector<Diagnostic> faults;
        for (const TunedRecord& record : RecordSet::read(options_.records, faults).records()) {
            if (record.is_choice()) list.push_back(record);
        }
        EXPECT_TRUE(faults.empty());
        return list;
    }
    // Nodes that had a record at some time.
    static std::set<std::string> chosen_nodes(const SilentReport& report) {
        std::set<std::string> nodes;
        for (const TunedChoice& choice : report.chosen) nodes.insert(choice.node);
        return nodes;
    }
    // Which words the plan takes from the records.
    std::set<std::string> taken() {
        std::vector<Diagnostic> faults;
        const MachineRecords source(RecordSet::read(options_.records, faults), this_machine());
        BuildOptions build = build_;
        build.records = &source;
        build.choices = &source;
        build.threads = 2;
        std::set<std::string> words;
        for (const bool training : {true, false}) {
            const Plan plan = plan_of(network_, library_, build, training);
            EXPECT_TRUE(plan.left_out.empty());
            for (const NodeChoice& choice : plan.choices) {
                if (!choice.record.empty()) words.insert(choice.word);
            }
        }
        return words;
    }

    TestFolder folder_;
    Network network_;
    RecipeLibrary library_;
    BuildOptions build_;
    TuneOptions options_;
    ChoiceWorkbench workbench_;
};

TEST_F(ChoiceTuning, WritesWinnersAsRecordsThatABuildTakes) {
    workbench_.fast_word = "pass";
    const SilentReport report = run(400);
    ASSERT_FALSE(report.chosen.empty());
    const std::vector<TunedRecord> list = choices();
    EXPECT_EQ(list.size(), report.chosen.size());
    for (const TunedRecord& record : list) {
        EXPECT_EQ(record.choice, "pass");
        EXPECT_EQ(record.isa, kTarget);
        EXPECT_EQ(record.threads, 2);
        EXPECT_GT(record.gain(), 1.005);
    }
    EXPECT_EQ(taken(), std::set<std::string>{"pass"});
    // Kernels that the choices made are tuned like all others.
    EXPECT_TRUE(std::any_of(
        workbench_.tried.begin(), workbench_.tried.end(),
        [](const std::string& text) { return text.find("%v0 = relu(%a0)") != std::string::npos; }));
}

TEST_F(ChoiceTuning, LeavesWhatIsNoFaster) {
    const SilentReport report = run(400);
    EXPECT_GT(report.choices.size(), 5u);
    for (const std::string& choice : report.choices) EXPECT_TRUE(choice.ends_with(" slower"));
    EXPECT_TRUE(choices().empty());
}

TEST_F(ChoiceTuning, TriesNoneTwice) {
    const SilentReport first = run(400);
    const SilentReport second = run(420);
    EXPECT_GT(first.choices.size(), 5u);
    EXPECT_TRUE(second.choices.empty());
    EXPECT_GE(second.spent.seconds, first.spent.seconds);
}

TEST_F(ChoiceTuning, MeasuresAWinnerAgainThatWasNotAlone) {
    workbench_.fast_word = "pass";
    workbench_.confirmation_is_contended = true;
    EXPECT_TRUE(run(400).chosen.empty());
    EXPECT_TRUE(choices().empty());
    workbench_.confirmation_is_contended = false;
    const SilentReport report = run(420);
    EXPECT_FALSE(report.chosen.empty());
    EXPECT_FALSE(choices().empty());
}

TEST_F(ChoiceTuning, KeepsLockedRecords) {
    workbench_.fast_word = "pass";
    run(400);
    std::vector<Diagnostic> faults;
    RecordSet set = RecordSet::read(options_.records, faults);
    TunedRecord locked = choices().at(0);
    locked.choice = "join";
    locked.is_locked = true;
    set.take(locked);
    set.save(options_.records);
    run(450);
    const std::vector<TunedRecord> list = choices();
    EXPECT_TRUE(std::any_of(list.begin(), list.end(), [&](const TunedRecord& record) {
        return record.is_locked && record.choice == "join" && record.signature == locked.signature;
    }));
}

TEST_F(ChoiceTuning, TimesNoChoiceWhoseKernelsAreWrong) {
    workbench_.fast_word = "pass";
    workbench_.wrong_kernels = "%v0 = relu(%a0)";
    const SilentReport report = run(400);
    EXPECT_TRUE(std::any_of(report.choices.begin(), report.choices.end(),
                            [](const std::string& choice) { return choice.ends_with(" wrong"); }));
    for (const TunedChoice& choice : report.chosen) EXPECT_NE(choice.name, "relu3");
}

// Kernels around a choice are tuned after it became a record.
TEST_F(ChoiceTuning, MeasuresChoicesAgainOnceKernelsAroundThemAreTuned) {
    workbench_.fast_word = "pass";
    const SilentReport report = run(400);
    ASSERT_FALSE(report.checked.empty());
    for (const std::string& choice : report.checked) EXPECT_TRUE(choice.ends_with(" stays"));
    EXPECT_EQ(choices().size(), report.chosen.size());
    EXPECT_EQ(std::set(report.checked.begin(), report.checked.end()).size(), report.checked.size());
}

TEST_F(ChoiceTuning, WithdrawsWhatNoLongerWins) {
    workbench_.fast_word = "pass";
    workbench_.slow_kernels = "%v0 = relu(%a0)";
    const SilentReport report = run(400);
    EXPECT_TRUE(std::any_of(report.checked.begin(), report.checked.end(),
                            [](const std::string& text) { return text.ends_with(" withdrawn"); }));
    EXPECT_LT(choices().size(), chosen_nodes(report).size());
    const SilentReport second = run(430);
    for (const TunedChoice& choice : second.chosen)
        EXPECT_FALSE(chosen_nodes(report).contains(choice.node)) << choice.name << " again";
}

TEST_F(ChoiceTuning, WithdrawsNothingBesideOtherWork) {
    workbench_.fast_word = "pass";
    workbench_.slow_kernels = "%v0 = relu(%a0)";
    workbench_.check_is_contended = true;
    const SilentReport report = run(400);
    ASSERT_FALSE(report.checked.empty());
    for (const std::string& choice : report.checked) EXPECT_TRUE(choice.ends_with(" not settled"));
    EXPECT_EQ(choices().size(), chosen_nodes(report).size());
    workbench_.check_is_contended = false;
    const SilentReport second = run(401);
    EXPECT_TRUE(std::any_of(second.checked.begin(), second.checked.end(),
                            [](const std::string& text) { return text.ends_with(" withdrawn"); }));
}

// A run that tunes some kernels, draws at random, or is told so, tries none.
TEST_F(ChoiceTuning, LeavesChoicesWhereItIsToldTo) {
    workbench_.fast_word = "pass";
    options_.choices = false;
    EXPECT_TRUE(run(60).choices.empty());
    options_.choices = true;
    options_.only = "conv2";
    EXPECT_TRUE(run(80).choices.empty());
    options_.only = "";
    options_.draws = true;
    EXPECT_TRUE(run(100).choices.empty());
    EXPECT_TRUE(choices().empty());
}

}  // namespace
}  // namespace emulsion::test
