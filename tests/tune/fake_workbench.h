// A workbench that knows how fast each schedule is, and a report that counts.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "compiler/support/hash.h"
#include "compiler/support/interrupts.h"
#include "schedules/tune/tuner.h"

namespace emulsion::test {

// Of which networks are tuned on it, so that any processor finds the same.
constexpr const char* kTarget = "avx512";

// Times follow from the text of a candidate, so that any run finds the same; every comparison is
// counted.
class FakeWorkbench : public Workbench {
  public:
    std::string take_up(const PlannedKernel& kernel, int64_t step_bytes) override {
        EXPECT_GT(step_bytes, 10000);
        signature_ = kernel.group.signature();
        return "";
    }
    std::vector<Trial> compile(const std::vector<Candidate>& candidates) override {
        std::vector<Trial> trials(candidates.size());
        for (const Candidate& candidate : candidates)
            calls.push_back("compile " + to_string(candidate));
        for (size_t i = 0; i < candidates.size(); i++) {
            if (crashes && hash_bytes(to_string(candidates[i])) % 3 == 0)
                trials[i].outcome = Outcome::crashed;
        }
        return trials;
    }
    Trial compare(const Candidate& current, const Candidate& candidate,
                  const Effort& effort) override {
        if (effort.significance == kTrialEffort.significance) {
            if (interrupt_after == 0) throw Interrupted{2};
            interrupt_after--;
            EXPECT_TRUE(tried.insert(signature_ + to_string(candidate)).second)
                << to_string(candidate) << " is measured twice";
            first.try_emplace(signature_, to_string(candidate));
            calls.push_back("compare " + to_string(candidate));
        }
        Trial trial;
        for (int i = 0; i < effort.least_pairs; i++)
            trial.times.pairs.push_back(
                {own_is_best ? 1e-5 : seconds(current), seconds(candidate)});
        trial.times.contended = contended;
        if (is_faster(trial.times, effort.significance, effort.margin))
            trial.outcome = Outcome::faster;
        return trial;
    }
    int jobs() const override { return 2; }
    const std::string& signature() const { return signature_; }  // of the kernel taken up
    bool compiles_ahead() const override { return has_spare; }
    void compile_ahead(const std::vector<Candidate>& candidates) override {
        EXPECT_TRUE(has_spare);
        for (const Candidate& candidate : candidates)
            calls.push_back("ahead " + to_string(candidate));
    }

    bool compile_step(const Plan&, double) override { return ++step_parts >= parts_of_step; }
    // A kernel's time is that of its calls by themselves, but for those that are slow in a step.
    StepTimes time_steps(const Network&, const std::vector<const Plan*>& plans,
                         const Effort& effort) override {
        std::vector<StepRun> round;
        for (const Plan* plan : plans) {
            StepRun& run = round.emplace_back();
            bool has_culprit = false;
            for (const PlannedKernel& kernel : plan->variants.back().kernels) {
                has_culprit |= !kernel.record.empty() && kernel.group.signature() == culprit;
                const std::string signature = kernel.group.signature();
                const Candidate candidate{kernel.recipe, kernel.recipe_version, kernel.tiling};
                const std::string own = signature + to_string(candidate);
                const bool is_slow =
                    slow_in_step.contains(own) ||
                    (records_are_slow && !kernel.record.empty() && !fast_in_step.contains(own));
                run.kernels.push_back(is_slow ? 1 : seconds(signature, candidate));
                run.seconds += step_is_slow && plan != plans[0] ? 2 : 1;
            }
            if (has_culprit) run.seconds *= 2;
            calls.push_back("step of " + std::to_string(plans.size()));
        }
        StepTimes times;
        times.rounds.assign(static_cast<size_t>(effort.least_pairs), round);
        times.contended = contended || step_is_contended;
        return times;
    }

    std::set<std::string> tried;
    std::set<std::string> slow_in_step;     // signature and candidate
    std::set<std::string> fast_in_step;     // the same, though records_are_slow
    std::string culprit;                    // signature: its record makes the others slower
    int parts_of_step = 1, step_parts = 0;  // calls of compile_step until it is done
    bool records_are_slow = false, step_is_slow = false, step_is_contended = false;
    std::map<std::string, std::string> first;  // by signature, of those tried
    int interrupt_after = 1 << 30;
    bool crashes = false, contended = false, has_spare = false;
    bool own_is_best = false;  // no candidate is faster than a kernel's own schedule
    std::vector<std::string> calls;

  private:
    double seconds(const Candidate& candidate) const { return seconds(signature_, candidate); }
    static double seconds(const std::string& signature, const Candidate& candidate) {
        return 1e-4 * (1 + static_cast<double>(hash_bytes(signature + to_string(candidate)) % 64));
    }
    std::string signature_;
};

class SilentReport : public TuneReport {
  public:
    void note(const std::string& sentence) override { notes.push_back(sentence); }
    void begin(const std::string&, const Isa&, const TuneOptions&, size_t, const Spent&) override {}
    void take_up(const TunedKernel& kernel) override {
        starts.insert(starts.end(), kernel.starts.begin(), kernel.starts.end());
    }
    void trial(const TunedKernel&, const Candidate&, const Trial&) override {}
    void confirmation(const TunedKernel&, const Confirmation& confirmation) override {
        (confirmation.is_accepted ? accepted : rejected)++;
    }
    void step_timed(bool, double, bool) override { steps++; }
    void step_compared(bool, const PairedTimes&) override { comparisons++; }
    void step_check(const TunedKernel&, const Confirmation& check) override {
        (check.is_accepted ? stayed : check.is_contended ? unsettled : dropped)++;
    }
    void choice_tried(const TunedChoice& choice, const Trial& trial) override {
        choices.push_back(choice.name + " " + choice.other + " " + to_string(trial.outcome));
    }
    void choice_confirmed(const TunedChoice& choice, const Confirmation& confirmation) override {
        if (confirmation.is_accepted) chosen.push_back(choice);
    }
    void choice_checked(const TunedChoice& choice, const Confirmation& check) override {
        checked.push_back(choice.node + (check.is_accepted    ? " stays"
                                         : check.is_contended ? " not settled"
                                                              : " withdrawn"));
    }
    void end(TuneEnd reason, const std::vector<TunedKernel>& list, const Spent& all) override {
        why = reason;
        kernels = list;
        for (const TunedKernel& kernel : list) {
            if (!kernel.best.empty())
                best.insert(kernel.planned->group.signature() + " with " + kernel.best);
        }
        spent = all;
    }
    void interrupted(const std::vector<TunedKernel>& list, const Spent& all) override {
        was_interrupted = true;
        kernels = list;
        spent = all;
    }

    std::vector<std::string> notes;
    std::vector<Start> starts;
    std::vector<std::string> choices;  // that were tried
    std::vector<TunedChoice> chosen;   // that became records
    std::vector<std::string> checked;  // that were measured again later
    int accepted = 0, rejected = 0;
    int steps = 0, comparisons = 0, stayed = 0, dropped = 0, unsettled = 0;
    bool was_interrupted = false;
    TuneEnd why = TuneEnd::budget;
    std::vector<TunedKernel> kernels;
    std::set<std::string> best;  // "SIGNATURE with CANDIDATE" of each record
    Spent spent;
};

}  // namespace emulsion::test
