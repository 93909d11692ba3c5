// The search for schedules, on a workbench that knows how fast each one is.
#include "schedules/tune/tuner.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "runtime/support/atomic_file.h"
#include "runtime/support/path.h"
#include "schedules/library.h"
#include "schedules/tune/step_check.h"
#include "tests/support/golden.h"
#include "tests/support/message_of.h"
#include "tests/support/test_folder.h"
#include "tests/tune/fake_workbench.h"
#include "tests/tune/tune_support.h"

namespace emulsion::test {
namespace {

std::vector<std::string> split(const std::string& text) {
    std::istringstream words(text);
    return {std::istream_iterator<std::string>(words), {}};
}

class Tuning : public testing::Test {
  protected:
    Tuning() : network_(golden_network("lenet")), library_(make_library()) {
        build_.batch = 4;
        build_.target = kTarget;
        options_.records = folder_ / "net.records";
        options_.journal = folder_ / "net.journal";
        options_.threads = 2;
        options_.choices = false;  // choice_search_test.cpp
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
    RecordSet records() const {
        std::vector<Diagnostic> faults;
        RecordSet set = RecordSet::read(options_.records, faults);
        EXPECT_TRUE(faults.empty());
        return set;
    }

    TestFolder folder_;
    Network network_;
    RecipeLibrary library_;
    BuildOptions build_;
    TuneOptions options_;
    FakeWorkbench workbench_;
};

// Its name in the sets of FakeWorkbench.
std::string in_step(const TunedRecord& record) {
    return record.signature + to_string(Candidate{record.recipe, record.version, record.tiling});
}

TEST_F(Tuning, WritesRecordsThatABuildTakes) {
    const SilentReport report = run(120);
    EXPECT_EQ(report.spent.trials, 120);
    EXPECT_EQ(report.why, TuneEnd::budget);
    EXPECT_GT(report.accepted, 3);
    const RecordSet set = records();
    ASSERT_GT(set.size(), 1u);
    for (const TunedRecord& record : set.records()) EXPECT_GT(record.gain(), 1.01);
    const MachineRecords source(set, this_machine());
    BuildOptions tuned = build_;
    tuned.records = &source;
    tuned.threads = 2;
    std::set<std::string> taken;
    for (const bool training : {true, false}) {
        const Plan plan = plan_of(network_, library_, tuned, training);
        for (const PlannedKernel& kernel : plan.variants[0].kernels)
            if (!kernel.record.empty()) taken.insert(kernel.record);
    }
    EXPECT_EQ(taken.size(), set.size());
}

TEST_F(Tuning, GoesOnWhereItEndedAndRepeatsNothing) {
    EXPECT_EQ(run(30).spent.trials, 30);
    const std::string first = print_records(records().records());
    EXPECT_EQ(run(30).spent.trials, 30);  // which are spent
    EXPECT_EQ(print_records(records().records()), first);
    EXPECT_EQ(workbench_.tried.size(), 30u);
    EXPECT_EQ(run(70).spent.trials, 70);
    EXPECT_EQ(workbench_.tried.size(), 70u);
}

// Where nothing beats a kernel's own schedule, changes of it are tried all the same.
TEST_F(Tuning, ChangesTheBestSoFarThoughItIsTheKernelsOwn) {
    workbench_.own_is_best = true;
    options_.only = "conv1.dw";
    const SilentReport report = run(120);
    const auto kernel =
        std::find_if(report.kernels.begin(), report.kernels.end(),
                     [](const TunedKernel& k) { return k.name.ends_with("conv1.dw"); });
    ASSERT_NE(kernel, report.kernels.end());
    ASSERT_EQ(kernel->trials, 120);
    const size_t space = split(kernel->own).size();
    ASSERT_GT(space, 6u);  // so that few are near by chance
    std::vector<std::string> compared;
    for (const std::string& call : workbench_.calls) {
        if (call.starts_with("compare ")) compared.push_back(call.substr(8));
    }
    int near = 0;  // of those behind the ranking
    for (size_t i = 40; i < compared.size(); i++) {
        const std::vector<std::string> own = split(kernel->own), other = split(compared[i]);
        int changes = 0;
        for (size_t k = 0; k < std::min(own.size(), other.size()); k++)
            changes += own[k] != other[k];
        near += own.size() == other.size() && changes <= 2;
    }
    EXPECT_GE(near, 6);
}

// By a kernel whose candidates take what the model says, and by one where it is the other way
// round; the fastest are the same ones of both.
TEST_F(Tuning, RanksChangesByAModelThatIsNotContradicted) {
    const Plan plan = plan_of(network_, library_, build_, /*training=*/true);
    const std::vector<PlannedKernel>& kernels = plan.variants[0].kernels;
    const auto kernel = std::find_if(kernels.begin(), kernels.end(), [](const PlannedKernel& k) {
        return k.tiling.values.size() > 6;
    });
    ASSERT_NE(kernel, kernels.end());
    const Isa& isa = isa_named(kTarget);
    const auto cost = [&](const Candidate& candidate) {
        const auto recipe = std::find_if(library_.begin(), library_.end(), [&](const auto& known) {
            return known->name() == candidate.recipe;
        });
        return CostModel().cost(**recipe, kernel->group, candidate.tiling, isa, Machine());
    };
    Search draws(*kernel, isa, library_, /*exact=*/false, 2, 1);
    draws.draw_alone();
    std::vector<Candidate> drawn;
    while (drawn.size() < 12) {
        const std::optional<Candidate> next = draws.next();
        ASSERT_TRUE(next);
        if (next->recipe == kernel->recipe) drawn.push_back(*next);
    }
    std::sort(drawn.begin(), drawn.end(),
              [&](const Candidate& a, const Candidate& b) { return cost(a) < cost(b); });
    const auto costs = [&](bool agrees) {  // of what is proposed, their logarithms
        Search search(*kernel, isa, library_, /*exact=*/false, 2, 1);
        for (int i = 0; i < 12; i++) {
            const bool is_fast = i >= 4 && i < 8;
            search.learn(drawn[static_cast<size_t>(i)],
                         is_fast ? 1 + 0.01 * i : 10 + (agrees ? i : 12 - i));
        }
        double sum = 0;
        for (int i = 0; i < 100; i++) sum += std::log(cost(search.next().value()));
        return sum;
    };
    EXPECT_LT(costs(true), costs(false) - 3);
}

// All of a space whose fields the kernel's own schedule does not name.
TEST_F(Tuning, TriesFieldsThatADefaultDoesNotName) {
    const Plan plan = plan_of(network_, library_, build_, /*training=*/true);
    const Isa& isa = isa_named(kTarget);
    const auto recipe = std::find_if(library_.begin(), library_.end(), [](const auto& known) {
        return known->name() == "reduction";
    });
    const std::vector<PlannedKernel>& kernels = plan.variants[0].kernels;
    const auto kernel = std::find_if(kernels.begin(), kernels.end(), [&](const PlannedKernel& k) {
        return k.recipe == "reduction" && !(*recipe)->space(k.group, isa).empty();
    });
    ASSERT_NE(kernel, kernels.end());
    EXPECT_EQ(to_string(kernel->tiling), "");
    const TilingSpace space = (*recipe)->space(kernel->group, isa);
    ASSERT_EQ(space.size(), 1u);
    std::set<std::string> all, tried;
    for (const int value : space[0].values) {
        if (value != space[0].otherwise) all.insert(fmt::format("chunk={}", value));
    }
    Search search(*kernel, isa, library_, /*exact=*/false, 2, 1);
    while (const std::optional<Candidate> next = search.next()) {
        tried.insert(to_string(next->tiling));
        search.learn(*next, 10);
    }
    EXPECT_EQ(tried, all);
    const auto nearest = nearest_legal(**recipe, kernel->group, isa, parse_tiling("chunk=17"));
    EXPECT_EQ(nearest, parse_tiling("chunk=16"));
}

// The last of one batch and the next batch overlap: what is ahead was claimed, and is compiled
// next.
TEST_F(Tuning, CompilesTheNextCandidatesWhileSomeAreTimed) {
    workbench_.has_spare = true;
    EXPECT_EQ(run(21).spent.trials, 21);
    EXPECT_EQ(workbench_.tried.size(), 21u);
    std::vector<std::string>& calls = workbench_.calls;
    std::vector<std::string> ahead;
    int confirmed = 0;
    for (const std::string& call : calls) {
        if (call.starts_with("ahead ")) ahead.push_back(call.substr(6));
        if (!call.starts_with("compile ") || ahead.empty()) continue;
        EXPECT_EQ(call.substr(8), ahead.front());
        ahead.erase(ahead.begin());
        confirmed++;
    }
    EXPECT_TRUE(ahead.empty());
    EXPECT_GT(confirmed, 10);
    const auto first = std::find_if(calls.begin(), calls.end(),
                                    [](const auto& call) { return call.starts_with("ahead "); });
    EXPECT_TRUE((first - 1)->starts_with("compile "));
    EXPECT_TRUE((first + 2)->starts_with("compare "));  // of a batch of 2
}

TEST_F(Tuning, GivesBackWhatWasCompiledAheadWhenItIsInterrupted) {
    workbench_.has_spare = true;
    workbench_.interrupt_after = 7;
    EXPECT_TRUE(run(100).was_interrupted);
    workbench_.interrupt_after = 1 << 30;
    EXPECT_EQ(run(60).spent.trials, 60);
    EXPECT_EQ(workbench_.tried.size(), 60u);
}

TEST_F(Tuning, SaysOnceThatNoProcessorIsFreeToCompileAhead) {
    EXPECT_EQ(run(21).notes.size(), 1u);
    workbench_.has_spare = true;
    EXPECT_TRUE(run(40).notes.empty());
}

TEST_F(Tuning, KeepsAllWhenItIsInterrupted) {
    workbench_.interrupt_after = 25;
    const SilentReport report = run(100);
    EXPECT_TRUE(report.was_interrupted);
    EXPECT_EQ(report.spent.trials, 25);
    EXPECT_GE(records().size(), 1u);
    workbench_.interrupt_after = 1 << 30;
    EXPECT_EQ(run(60).spent.trials, 60);
    EXPECT_EQ(workbench_.tried.size(), 60u);
}

TEST_F(Tuning, WaitsWithRecordsForAQuietMachine) {
    workbench_.contended = true;
    const SilentReport busy = run(20);
    EXPECT_EQ(busy.accepted, 0);
    EXPECT_GT(busy.rejected, 0);
    EXPECT_FALSE(is_file(options_.records));
    workbench_.contended = false;
    EXPECT_GT(run(21).accepted, 0);
    EXPECT_GE(records().size(), 1u);
}

TEST_F(Tuning, CountsCandidatesThatFail) {
    workbench_.crashes = true;
    const SilentReport report = run(60);
    int failures = 0;
    for (const TunedKernel& kernel : report.kernels) failures += kernel.failures;
    EXPECT_GT(failures, 5);
    EXPECT_EQ(workbench_.tried.size() + static_cast<size_t>(failures), 60u);
    EXPECT_GE(records().size(), 1u);
}

TEST_F(Tuning, LeavesALockedRecordAlone) {
    run(40);
    RecordSet set;
    TunedRecord locked = records().records()[0];
    locked.is_locked = true;
    locked.tuned_us = locked.default_us * 2;
    set.add(locked);
    set.save(options_.records);
    options_.journal = folder_ / "another.journal";
    workbench_.tried.clear();
    run(80);
    EXPECT_TRUE(records().find(locked.key())->is_locked);
    for (const std::string& tried : workbench_.tried)
        EXPECT_FALSE(tried.starts_with(locked.signature));
}

TEST_F(Tuning, BeginsWithRecordsOfOtherMachines) {
    run(120);
    RecordSet foreign;
    for (TunedRecord& record : records().records()) {
        record.machine = some_machine();
        foreign.add(std::move(record));
    }
    foreign.save(options_.records);
    options_.journal = folder_ / "another.journal";
    workbench_.tried.clear();
    workbench_.first.clear();
    const SilentReport report = run(120);
    int begun = 0;
    for (const TunedRecord& record : foreign.records()) {
        const Candidate candidate{record.recipe, record.version, record.tiling};
        const auto first = workbench_.first.find(record.signature);
        if (first == workbench_.first.end()) continue;
        EXPECT_EQ(first->second, to_string(candidate));
        EXPECT_TRUE(std::any_of(report.starts.begin(), report.starts.end(), [&](const Start& s) {
            return s.candidate == candidate && s.why == "this kernel, another machine" &&
                   s.origin.starts_with(options_.records);
        }));
        begun++;
    }
    EXPECT_GT(begun, 2);
}

TEST_F(Tuning, TimesEachDefaultInTheStepOnce) {
    const SilentReport first = run(20);
    EXPECT_EQ(first.steps, 2);  // training and inference
    double share = 0;
    std::map<bool, double> shares;
    for (const TunedKernel& kernel : first.kernels) {
        EXPECT_GT(kernel.step_us, 0) << kernel.name;
        share += kernel.share;
        for (const auto& [training, part] : kernel.shares) shares[training] += part;
    }
    EXPECT_NEAR(share, 1, 1e-9);
    EXPECT_NEAR(shares.at(true), 1, 1e-9);
    EXPECT_NEAR(shares.at(false), 1, 1e-9);
    EXPECT_GT(first.spent.seconds, 0);
    const SilentReport second = run(30);
    EXPECT_EQ(second.steps, 0);
    for (const TunedKernel& kernel : second.kernels) EXPECT_GT(kernel.step_us, 0) << kernel.name;
}

TEST_F(Tuning, VisitsKernelsWhileTheStepIsNotYetCompiled) {
    workbench_.parts_of_step = 3;
    const SilentReport report = run(80);
    EXPECT_EQ(report.steps, 2);
    const auto& calls = workbench_.calls;
    const auto step = std::find(calls.begin(), calls.end(), "step of 1");
    EXPECT_GT(std::count_if(calls.begin(), step,
                            [](const auto& call) { return call.starts_with("compare "); }),
              kVisitTrials);
}

// What was measured for one direction counts for both.
TEST_F(Tuning, OfOneDirectionLeavesTheOtherOut) {
    options_.training = false;
    const SilentReport report = run(20);
    for (const TunedKernel& kernel : report.kernels)
        EXPECT_FALSE(kernel.name.starts_with("training ")) << kernel.name;
    EXPECT_EQ(report.steps, 1);
    const size_t kernels = report.kernels.size();
    options_.training = {};
    EXPECT_GT(run(20).kernels.size(), kernels);
    EXPECT_EQ(workbench_.tried.size(), 20u);
}

TEST_F(Tuning, OfAKernelByItsWholeNameLeavesLongerNamesOut) {
    const std::string text = read_test_file("golden/lenet.graph.txt");
    network_ = parse_network(std::regex_replace(text, std::regex("dense2"), "conv22"), "lenet");
    const auto tuned = [&](const std::string& only) {
        options_.only = only;
        SilentReport report;
        TuneRun found({network_, library_, build_, options_, workbench_, report});
        found.find();
        std::set<std::string> names;
        for (const auto& task : found.tasks) {
            if (!task->is_spent) names.insert(task->shown.name);
        }
        return names;
    };
    using Names = std::set<std::string>;
    EXPECT_EQ(tuned("training forward conv2"), Names{"training forward conv2"});
    EXPECT_EQ(tuned("training forward conv22"), Names{"training forward conv22"});
    EXPECT_EQ(tuned("g forward conv2"),
              (Names{"training forward conv2", "training forward conv22"}));
}

TEST_F(Tuning, KeepsRecordsThatWinInTheStep) {
    const SilentReport report = run(60);
    EXPECT_GE(report.comparisons, 1);  // of the directions that have records
    EXPECT_EQ(report.stayed, static_cast<int>(records().size()));
    EXPECT_EQ(report.dropped, 0);
    EXPECT_EQ(run(60).comparisons, 0);  // of what is settled
}

TEST_F(Tuning, DropsRecordsThatLoseInTheStep) {
    workbench_.records_are_slow = true;
    const SilentReport report = run(60);
    EXPECT_GT(report.accepted, 0);
    EXPECT_GT(report.dropped, 0);
    EXPECT_EQ(records().size(), 0u);
    for (const TunedKernel& kernel : report.kernels) EXPECT_EQ(kernel.best, "") << kernel.name;
    workbench_.records_are_slow = false;
    const SilentReport later = run(120);  // what was dropped stays so
    for (const TunedRecord& record : records().records()) EXPECT_GT(record.gain(), 1.01);
    EXPECT_EQ(later.dropped, 0);
}

TEST_F(Tuning, TakesTheRecordBeforeOneThatLosesInTheStep) {
    run(40);
    const std::vector<TunedRecord> former = records().records();
    ASSERT_FALSE(former.empty());
    for (const TunedRecord& record : former) workbench_.fast_in_step.insert(in_step(record));
    workbench_.records_are_slow = true;
    run(160);
    size_t kept = 0;
    for (const TunedRecord& record : records().records()) {
        kept++;
        EXPECT_TRUE(std::any_of(former.begin(), former.end(), [&](const TunedRecord& f) {
            return f.key() == record.key() && f.tiling == record.tiling;
        }));
    }
    EXPECT_EQ(kept, former.size());
}

// What is faster beside some kernels can be slower beside others.
TEST_F(Tuning, DropsRecordsThatLoseInTheStepLater) {
    run(60);
    const std::vector<TunedRecord> former = records().records();
    ASSERT_GT(former.size(), 1u);
    for (const TunedRecord& record : former) workbench_.slow_in_step.insert(in_step(record));
    const SilentReport later = run(160);
    EXPECT_GT(later.stayed, 0);
    EXPECT_GT(later.dropped, 0);
    for (const TunedRecord& record : records().records())
        EXPECT_FALSE(workbench_.slow_in_step.contains(in_step(record)));
}

TEST_F(Tuning, DropsRecordsThatMakeTheWholeStepSlower) {
    workbench_.step_is_slow = true;
    EXPECT_GT(run(60).dropped, 0);
    EXPECT_EQ(records().size(), 0u);
}

// The record that gains least in the step, though it gains: the others stay.
TEST_F(Tuning, DropsTheRecordAloneThatMakesTheWholeStepSlower) {
    workbench_.step_is_contended = true;  // so that nothing is decided yet
    run(60);
    const std::vector<TunedRecord> former = records().records();
    ASSERT_GT(former.size(), 1u);
    const auto least = std::min_element(former.begin(), former.end(),
                                        [](auto& a, auto& b) { return a.gain() < b.gain(); });
    workbench_.step_is_contended = false;
    workbench_.culprit = least->signature;
    EXPECT_EQ(run(61).dropped, 1);
    const std::vector<TunedRecord> left = records().records();
    EXPECT_GE(left.size(), former.size() - 1);
    for (const TunedRecord& record : left) EXPECT_NE(record.signature, least->signature);
}

// By no measurement yet, a check is thought to take seconds; by one of this workbench, next to
// none.
TEST_F(Tuning, KeepsAsMuchTimeForTheLastCheckAsTheCheckBeforeTook) {
    workbench_.step_is_contended = true;  // so that all stay to be checked
    EXPECT_GT(run(60).unsettled, 0);
    options_.minutes = 1;
    SilentReport report;
    TuneRun again({network_, library_, build_, options_, workbench_, report});
    again.find();
    const double first = seconds_of_check(again);
    EXPECT_GE(first, 2 * (2 + kStepEffort.seconds));  // of two directions
    check_records(again);
    EXPECT_LT(seconds_of_check(again), first);
    reserve(again, first);
    EXPECT_EQ(again.reserved_seconds, first);
    reserve(again, 100);
    EXPECT_EQ(again.reserved_seconds, 30);
}

TEST_F(Tuning, DecidesNothingInAStepBesideOtherWork) {
    workbench_.step_is_contended = true;
    EXPECT_GT(run(60).unsettled, 0);
    const size_t size = records().size();
    EXPECT_GT(size, 0u);
    workbench_.step_is_contended = false;
    workbench_.interrupt_after = 0;  // the check comes before the search
    const SilentReport later = run(61);
    EXPECT_TRUE(later.was_interrupted);
    EXPECT_EQ(later.stayed, static_cast<int>(size));
}

// The variants of a library order their sums alike, so a record of one that decides binds
// another.
TEST_F(Tuning, FollowsRecordsOfInstructionSetsThatDecide) {
    const Plan plan = plan_of(network_, library_, build_, /*training=*/false);
    const std::vector<PlannedKernel>& kernels = plan.variants[0].kernels;
    const auto dense = std::find_if(kernels.begin(), kernels.end(), [](const PlannedKernel& k) {
        return k.recipe == "matmul" && k.tiling.at("chains") != 2;
    });
    ASSERT_NE(dense, kernels.end());
    TunedRecord record = some_record(dense->group.signature(), 2);
    record.machine = this_machine();
    record.isa = "avx512";
    record.tiling = dense->tiling;
    for (auto& [name, value] : record.tiling.values) {
        if (name == "chains") value = 2;
    }
    RecordSet set;
    set.add(record);
    set.save(options_.records);
    build_.target = "avx2";
    run(600);
    int tried = 0;
    for (const std::string& text : workbench_.tried) {
        if (!text.starts_with(record.signature)) continue;
        const std::string candidate = text.substr(record.signature.size());
        EXPECT_TRUE(candidate.starts_with("matmul ") && candidate.ends_with(" chains=2"))
            << candidate;
        tried++;
    }
    EXPECT_GT(tried, 0);
    const RecordSet found = records();
    const MachineRecords source(found, this_machine());
    build_.records = &source;
    build_.target = "portable";
    for (const bool training : {true, false}) {
        const std::string text = print(plan_of(network_, library_, build_, training));
        EXPECT_EQ(text.find("is left out"), std::string::npos);
    }
}

TEST_F(Tuning, RefusesAFileOfRecordsThatItWouldDamage) {
    write_file(options_.records, "emulsion records 1\nmachine=\n");
    EXPECT_EQ(message_of([&] { run(5); }),
              options_.records +
                  ":2: error[record]: 'machine' has no value\n"
                  "  fix: write it as machine=… isa=… threads=… recipe=NAME@VERSION tiling=\"…\" "
                  "default_us=… tuned_us=… spread=… group=…");
    EXPECT_FALSE(is_file(options_.journal));
}

}  // namespace
}  // namespace emulsion::test
