// See choice_trial.h.
#include "schedules/tune/choice_trial.h"

#include <algorithm>
#include <set>

#include "compiler/support/hash.h"
#include "compiler/support/interrupts.h"
#include "schedules/tune/step_check.h"

namespace emulsion {

namespace {

constexpr double kCompileSeconds = 8;  // between two looks at the budget

// Recipe and tiling of each kernel, by signature.
std::map<std::string, std::string> kernels_of(const Plan& plan) {
    std::map<std::string, std::string> kernels;
    for (const PlannedKernel& kernel : plan.variants.back().kernels)
        kernels[kernel.group.signature()] =
            to_string(Candidate{kernel.recipe, kernel.recipe_version, kernel.tiling});
    return kernels;
}

// Those of the run's kernels, and what the file says of kernels that other plans have.
RecordSet all_records(TuneRun& run) {
    RecordSet set = tuned_records(run);
    std::set<std::string> own;
    for (const auto& task : run.tasks) own.insert(run.key_of(*task));
    for (TunedRecord& record : run.records.records()) {
        if (!record.is_choice() && !own.contains(record.key())) set.add(std::move(record));
    }
    return set;
}

// What is wrong with a kernel that the run's plans do not have; each has its check.
std::string fault_of_new_kernels(TuneRun& run, const Plan& plan) {
    std::map<std::string, std::string> known;
    for (const auto& [training, own] : run.plans) known.merge(kernels_of(own));
    for (const PlannedKernel& kernel : plan.variants.back().kernels) {
        if (known.contains(kernel.group.signature())) continue;
        check_interrupts();
        const std::string fault = run.workbench.take_up(kernel, run.tasks[0]->step_bytes);
        if (!fault.empty()) return fault;
    }
    return "";
}

bool compile_steps(TuneRun& run, const std::vector<const Plan*>& plans) {
    for (const Plan* plan : plans) {
        while (!run.workbench.compile_step(*plan, kCompileSeconds)) {
            if (run.is_spent()) return false;
        }
    }
    return true;
}

}  // namespace

std::optional<RecordedChoice> ChangedChoices::find(const std::string& node, Decision decision,
                                                   const Isa& isa, int threads) const {
    if (node != node_ || decision != decision_) return others_.find(node, decision, isa, threads);
    if (word_.empty()) return std::nullopt;
    return RecordedChoice{word_, "this trial"};
}

bool has_choice(const Plan& plan, const NodeChoice& choice) {
    return std::any_of(plan.choices.begin(), plan.choices.end(), [&](const NodeChoice& other) {
        return other.node == choice.node && other.decision == choice.decision;
    });
}

std::vector<NodeChoice> timed_choices(const Plan& plan) {
    std::vector<NodeChoice> list;
    for (const NodeChoice& choice : plan.choices) {
        if (choice.batch == plan.variants.back().batches.back().batch) list.push_back(choice);
    }
    return list;
}

ChoicePair::ChoicePair(TuneRun& run, const NodeChoice& choice, const ChoiceSource& own,
                       const ChoiceSource& other)
    : run_(run) {
    const RecordSet records = all_records(run);
    const MachineRecords tuned(records, this_machine());
    BuildOptions build = run.build;
    build.records = &tuned;
    for (const auto& [training, plan] : run.plans) {
        if (!has_choice(plan, choice)) continue;
        check_interrupts();
        build.choices = &own;
        own_.emplace(training, plan_of(run.network, run.library, build, training));
        build.choices = &other;
        other_.emplace(training, plan_of(run.network, run.library, build, training));
    }
}

int ChoicePair::fingerprint() const {
    std::string text;
    for (const auto& [training, plan] : own_) {
        const auto own = kernels_of(plan), other = kernels_of(other_.at(training));
        for (const auto& [signature, candidate] : own) {
            if (!other.contains(signature)) text += signature + candidate + "\n";
        }
        for (const auto& [signature, candidate] : other) {
            if (!own.contains(signature)) text += signature + candidate + "\n";
        }
    }
    return static_cast<int>(hash_bytes(text) & 0x7fffffff);
}

std::optional<Trial> ChoicePair::measure(const Effort& effort) const {
    Trial trial;
    for (const auto& [training, before] : own_) {
        const Plan& after = other_.at(training);
        if (!compile_steps(run_, {&before, &after})) return std::nullopt;
        trial.note = fault_of_new_kernels(run_, after);
        if (!trial.note.empty()) {
            trial.outcome = Outcome::wrong;
            return trial;
        }
        const StepTimes times = run_.workbench.time_steps(run_.network, {&before, &after}, effort);
        if (times.rounds.empty()) {
            trial.outcome = Outcome::refused;
            trial.note = times.fault;
            return trial;
        }
        const PairedTimes whole = whole_steps(times);
        const bool is_first = trial.times.pairs.empty();
        const bool wins = is_first ? is_faster(whole, effort.significance, effort.margin)
                                   : trial.outcome == Outcome::faster && !is_slower(whole);
        trial.outcome = wins ? Outcome::faster : Outcome::slower;
        if (is_first) trial.times = whole;
        trial.times.contended |= whole.contended;
    }
    return trial;
}

TunedChoice shown(const TuneRun& run, const NodeChoice& choice, const std::string& own,
                  const std::string& other) {
    TunedChoice shown{choice.name, choice.node, own, other, {}};
    for (const auto& [training, plan] : run.plans) {
        if (has_choice(plan, choice)) shown.training.push_back(training);
    }
    return shown;
}

}  // namespace emulsion
