// See choice_search.h.
#include "schedules/tune/choice_search.h"

#include <algorithm>
#include <set>

#include "compiler/support/interrupts.h"
#include "schedules/tune/choice_check.h"
#include "schedules/tune/choice_trial.h"

namespace emulsion {

namespace {

constexpr double kGuessedSeconds = 10;  // that a choice takes, before one was tried
constexpr int kConfirmAttempts = 3;     // where something else took the processors

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
    const ChangedChoices flipped(*run_.chosen, flip.choice, flip.word);
    BuildOptions build = run_.build;
    build.choices = &flipped;
    for (const auto& [training, plan] : run_.plans) {
        if (!has_choice(plan, flip.choice)) continue;
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

bool ChoiceSearch::confirm(const Flip& flip) {
    Confirmation confirmation{flip.candidate(), 0, 0, 0, false, false};
    const Stopwatch watch;
    const ChangedChoices flipped(*run_.chosen, flip.choice, flip.word);
    const ChoicePair plans(run_, flip.choice, *run_.chosen, flipped);
    for (int attempt = 0; attempt < kConfirmAttempts; attempt++) {
        const std::optional<Trial> trial = plans.measure(kConfirmChoiceEffort);
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
        const int64_t number = run_.number_of(flip.choice);
        run_.journal.confirm(number, confirmation, watch.seconds());
        confirmation.candidate = measured_choice(flip.word, plans);
        run_.journal.check_in_step(number, confirmation, 0);
    });
    run_.report.choice_confirmed(shown(run_, flip.choice, flip.choice.word, flip.word),
                                 confirmation);
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
        const ChangedChoices flipped(*run_.chosen, flip.choice, flip.word);
        const std::optional<Trial> trial =
            ChoicePair(run_, flip.choice, *run_.chosen, flipped).measure(kChoiceEffort);
        if (!trial) return false;
        run_.journal.finish(number, flip.candidate(), *trial, watch.seconds());
        run_.report.choice_tried(shown(run_, flip.choice, flip.choice.word, flip.word), *trial);
        has_won = trial->outcome == Outcome::faster;
    }
    const bool plans_anew = has_won && confirm(flip);
    spent_seconds_ += watch.seconds();
    longest_seconds_ = std::max(longest_seconds_, watch.seconds());
    if (!plans_anew) return false;
    run_.find();
    look_anew();
    return true;
}

}  // namespace emulsion
