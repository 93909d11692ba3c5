// See choice_search.h.
#include "schedules/tune/choice_search.h"

#include <algorithm>
#include <set>

#include "compiler/support/interrupts.h"
#include "schedules/tune/step_check.h"

namespace emulsion {

namespace {

constexpr double kGuessedSeconds = 10;  // that a choice takes, before one was tried
constexpr double kCompileSeconds = 8;   // between two looks at the budget
constexpr int kConfirmAttempts = 3;     // where something else took the processors

// As another source says, but for one node.
class FlippedChoices : public ChoiceSource {
  public:
    FlippedChoices(const ChoiceSource& others, std::string node, std::string word)
        : others_(others), node_(std::move(node)), word_(std::move(word)) {}
    std::optional<RecordedChoice> find(const std::string& node, Decision decision, const Isa& isa,
                                       int threads) const override {
        if (node != node_ || decision != *decision_of(word_))
            return others_.find(node, decision, isa, threads);
        return RecordedChoice{word_, "this trial"};
    }

  private:
    const ChoiceSource& others_;
    std::string node_, word_;
};

bool has(const Plan& plan, const NodeChoice& choice) {
    return std::any_of(plan.choices.begin(), plan.choices.end(), [&](const NodeChoice& other) {
        return other.node == choice.node && other.decision == choice.decision;
    });
}

// Of the batch that is timed.
std::vector<NodeChoice> timed_choices(const Plan& plan) {
    std::vector<NodeChoice> list;
    for (const NodeChoice& choice : plan.choices) {
        if (choice.batch == plan.variants.back().batches.back().batch) list.push_back(choice);
    }
    return list;
}

std::set<std::string> signatures_of(const Plan& plan) {
    std::set<std::string> signatures;
    for (const PlannedKernel& kernel : plan.variants.back().kernels)
        signatures.insert(kernel.group.signature());
    return signatures;
}

}  // namespace

// ---- Which ----

void ChoiceSearch::find_flips() {
    const Stopwatch watch;
    flips_.emplace();
    for (const auto& [training, plan] : run_.plans) {
        for (const NodeChoice& choice : timed_choices(plan)) add_flips(choice);
    }
    for (Flip& flip : *flips_) {
        check_interrupts();
        flip.seconds = flip.has_won ? 1e9 : replaced_seconds(flip);
    }
    std::erase_if(*flips_, [](const Flip& flip) { return flip.seconds <= 0; });
    std::stable_sort(flips_->begin(), flips_->end(),
                     [](const Flip& a, const Flip& b) { return a.seconds < b.seconds; });
    spent_seconds_ += watch.seconds();
    if (!flips_->empty())
        run_.journal.add_seconds(run_.number_of(flips_->back().choice), watch.seconds());
}

void ChoiceSearch::add_flips(const NodeChoice& choice) {
    if (is_decided_elsewhere(choice)) return;
    const int64_t number = run_.number_of(choice);
    const std::vector<Journal::Finished> finished = run_.journal.finished(number);
    const std::vector<Confirmation> confirmations = run_.journal.confirmations(number);
    for (const std::string& word : choice.others) {
        Flip flip{choice, word};
        const bool is_known = std::any_of(flips_->begin(), flips_->end(), [&](const Flip& other) {
            return other.choice.node == choice.node && other.word == word;
        });
        const auto tried = std::find_if(
            finished.begin(), finished.end(),
            [&](const Journal::Finished& f) { return f.candidate == flip.candidate(); });
        const bool is_settled =
            std::any_of(confirmations.begin(), confirmations.end(), [&](const Confirmation& c) {
                return c.candidate == flip.candidate() && !c.is_contended;
            });
        if (is_known || is_settled) continue;
        if (tried != finished.end() && tried->outcome != Outcome::faster) continue;
        flip.has_won = tried != finished.end();
        flips_->push_back(std::move(flip));
    }
}

// By a record that is locked, or of an instruction set that decides before this one.
bool ChoiceSearch::is_decided_elsewhere(const NodeChoice& choice) const {
    for (const Isa* member : run_.isa.family->members) {
        if (*member == run_.isa) break;
        if (run_.chosen->find(choice.node, choice.decision, *member, run_.options.threads))
            return true;
    }
    const TunedRecord* record = run_.records.find(run_.record_of(choice, choice.word, {}).key());
    return record != nullptr && record->is_locked;
}

// 0 where no plan can be made so, or it is the same.
double ChoiceSearch::replaced_seconds(const Flip& flip) const {
    double seconds = 0;
    const FlippedChoices flipped(*run_.chosen, flip.choice.node, flip.word);
    BuildOptions build = run_.build;
    build.choices = &flipped;
    for (const auto& [training, plan] : run_.plans) {
        if (!has(plan, flip.choice)) continue;
        std::set<std::string> kept;
        try {
            kept = signatures_of(plan_of(run_.network, run_.library, build, training));
        } catch (const Error&) {
            return 0;
        }
        for (const auto& task : run_.tasks) {
            const auto calls = task->calls.find(training);
            if (calls != task->calls.end() && !kept.contains(task->kernel.group.signature()))
                seconds += calls->second * task->own_seconds;
        }
    }
    return seconds;
}

bool ChoiceSearch::has_next() {
    const TuneOptions& options = run_.options;
    if (!options.choices || !options.only.empty() || options.draws) return false;
    if (!flips_) find_flips();
    return !flips_->empty();
}

bool ChoiceSearch::is_due() {
    const TuneOptions& options = run_.options;
    if (spent_seconds_ > options.choice_share * since_begin_.seconds()) return false;
    const double needed = std::max(longest_seconds_, kGuessedSeconds);
    if (options.minutes > 0 &&
        run_.spent().seconds + run_.reserved_seconds + needed > 60 * options.minutes)
        return false;
    return has_next();
}

// ---- Trials ----

TunedChoice ChoiceSearch::shown(const Flip& flip) const {
    TunedChoice shown{flip.choice.name, flip.choice.node, flip.choice.word, flip.word, {}};
    for (const auto& [training, plan] : run_.plans) {
        if (has(plan, flip.choice)) shown.training.push_back(training);
    }
    return shown;
}

// What is wrong with one that the run's plans do not have; each has its check.
std::string ChoiceSearch::fault_of_new_kernels(const Plan& plan) {
    std::set<std::string> known;
    for (const auto& [training, own] : run_.plans) known.merge(signatures_of(own));
    for (const PlannedKernel& kernel : plan.variants.back().kernels) {
        if (known.contains(kernel.group.signature())) continue;
        check_interrupts();
        const std::string fault = run_.workbench.take_up(kernel, run_.tasks[0]->step_bytes);
        if (!fault.empty()) return fault;
    }
    return "";
}

// Nothing where the budget ends before it is compiled.
std::optional<Trial> ChoiceSearch::measure(const Flip& flip, const Effort& effort) {
    const RecordSet records = tuned_records(run_);
    const MachineRecords tuned(records, this_machine());
    const FlippedChoices flipped(*run_.chosen, flip.choice.node, flip.word);
    BuildOptions own = run_.build, other = run_.build;
    own.records = other.records = &tuned;
    other.choices = &flipped;
    Trial trial;
    for (const auto& [training, plan] : run_.plans) {
        if (!has(plan, flip.choice)) continue;
        const Plan before = plan_of(run_.network, run_.library, own, training);
        const Plan after = plan_of(run_.network, run_.library, other, training);
        while (!run_.workbench.compile_step(after, kCompileSeconds)) {
            if (run_.is_spent()) return std::nullopt;
        }
        trial.note = fault_of_new_kernels(after);
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
                                   : trial.outcome == Outcome::faster && !is_slower_step(whole);
        trial.outcome = wins ? Outcome::faster : Outcome::slower;
        if (is_first) trial.times = whole;
        trial.times.contended |= whole.contended;
    }
    return trial;
}

bool ChoiceSearch::confirm(const Flip& flip) {
    Confirmation confirmation{flip.candidate(), 0, 0, 0, false, false};
    const Stopwatch watch;
    for (int attempt = 0; attempt < kConfirmAttempts; attempt++) {
        const std::optional<Trial> trial = measure(flip, kConfirmChoiceEffort);
        if (!trial) return false;
        confirmation.default_us = trial->times.current_seconds() * 1e6;
        confirmation.tuned_us = trial->times.candidate_seconds() * 1e6;
        confirmation.spread = trial->times.spread();
        confirmation.is_contended = trial->times.contended;
        confirmation.is_accepted = trial->outcome == Outcome::faster && !confirmation.is_contended;
        if (!confirmation.is_contended) break;
    }
    run_.journal.alone([&] {
        if (confirmation.is_accepted) {
            const TunedRecord record = run_.record_of(flip.choice, flip.word, confirmation);
            run_.change_records([&](RecordSet& records) { records.replace(record); });
        }
        run_.journal.confirm(run_.number_of(flip.choice), confirmation, watch.seconds());
    });
    run_.report.choice_confirmed(shown(flip), confirmation);
    return confirmation.is_accepted;
}

bool ChoiceSearch::try_next() {
    const Flip flip = flips_->back();
    flips_->pop_back();
    const Stopwatch watch;
    const int64_t number = run_.number_of(flip.choice);
    bool has_won = flip.has_won;
    if (!has_won) {
        if (!run_.journal.claim(number, flip.candidate())) return false;
        const std::optional<Trial> trial = measure(flip, kChoiceEffort);
        if (!trial) return false;
        run_.journal.finish(number, flip.candidate(), *trial, watch.seconds());
        run_.report.choice_tried(shown(flip), *trial);
        has_won = trial->outcome == Outcome::faster;
    }
    const bool plans_anew = has_won && confirm(flip);
    spent_seconds_ += watch.seconds();
    longest_seconds_ = std::max(longest_seconds_, watch.seconds());
    if (!plans_anew) return false;
    run_.find();
    flips_.reset();
    return true;
}

}  // namespace emulsion
