// See choice_check.h.
#include "schedules/tune/choice_check.h"

#include <algorithm>

#include "compiler/support/interrupts.h"
#include "schedules/tune/step_check.h"

namespace emulsion {

namespace {

// What the plan does with the choice's nodes.
std::string word_in(const Plans& plans, const NodeChoice& choice) {
    for (const auto& [training, plan] : plans) {
        for (const NodeChoice& other : plan.choices) {
            if (other.node == choice.node && other.decision == choice.decision) return other.word;
        }
    }
    return "";
}

}  // namespace

Candidate measured_choice(const std::string& word, const ChoicePair& plans) {
    return {word, 1, {{{"kernels", plans.fingerprint()}}}};
}

// Those that this journal knows to have won; others that the file has stay as they are.
std::vector<NodeChoice> ChoiceCheck::accepted() {
    std::vector<NodeChoice> list;
    if (!run_.options.choices || !run_.options.only.empty() || run_.options.draws) return list;
    for (const auto& [training, plan] : run_.plans) {
        for (NodeChoice& choice : timed_choices(plan)) {
            const TunedRecord* record =
                run_.records.find(run_.record_of(choice, choice.word, {}).key());
            if (record == nullptr || record->is_locked || record->choice != choice.word) continue;
            const bool is_listed = std::any_of(list.begin(), list.end(), [&](const auto& other) {
                return other.node == choice.node && other.decision == choice.decision;
            });
            const auto won = run_.journal.confirmations(run_.number_of(choice));
            const bool has_won = std::any_of(won.begin(), won.end(), [&](const Confirmation& c) {
                return c.candidate.recipe == choice.word && c.is_accepted;
            });
            if (!is_listed && has_won) list.push_back(std::move(choice));
        }
    }
    return list;
}

std::string ChoiceCheck::kernels_records() const {
    std::string text;
    for (const TunedRecord& record : tuned_records(run_).records())
        text += record.key() + record.recipe + to_string(record.tiling) + "\n";
    return text;
}

bool ChoiceCheck::is_due() { return !accepted().empty() && kernels_records() != checked_with_; }

double ChoiceCheck::seconds() {
    return static_cast<double>(accepted().size()) *
           (last_seconds_ > 0 ? last_seconds_ : seconds_of_check(run_));
}

bool ChoiceCheck::check() {
    checked_with_ = kernels_records();
    bool plans_anew = false;
    for (const NodeChoice& choice : accepted()) plans_anew |= is_withdrawn(choice);
    if (plans_anew) run_.find();
    return plans_anew;
}

bool ChoiceCheck::is_withdrawn(const NodeChoice& choice) {
    check_interrupts();
    const Stopwatch watch;
    const ChangedChoices without(*run_.chosen, choice, "");
    const ChoicePair plans(run_, choice, without, *run_.chosen);
    const Candidate candidate = measured_choice(choice.word, plans);
    const std::vector<Confirmation> checks = run_.journal.step_checks(run_.number_of(choice));
    for (const Confirmation& check : checks) {
        if (check.candidate == candidate && !check.is_contended) return false;
    }
    const std::optional<Trial> trial = plans.measure(kCheckChoiceEffort);
    last_seconds_ = watch.seconds();
    if (!trial) return false;
    if (trial->times.pairs.empty()) {
        run_.report.note("a choice cannot be measured again: " + trial->note);
        return false;
    }
    const PairedTimes& times = trial->times;
    return settle(
        choice, word_in(plans.own(), choice),
        {candidate, times.current_seconds() * 1e6, times.candidate_seconds() * 1e6, times.spread(),
         trial->outcome == Outcome::faster && !times.contended, times.contended},
        watch.seconds());
}

bool ChoiceCheck::settle(const NodeChoice& choice, const std::string& own,
                         const Confirmation& check, double seconds) {
    const TunedChoice as_shown = shown(run_, choice, own, choice.word);
    const bool is_withdrawn = !check.is_accepted && !check.is_contended;
    run_.journal.alone([&] {
        run_.journal.check_in_step(run_.number_of(choice), check, seconds);
        if (!is_withdrawn) return;
        run_.change_records([&](RecordSet& records) {
            const std::string key = run_.record_of(choice, choice.word, {}).key();
            const TunedRecord* record = records.find(key);
            if (record != nullptr && !record->is_locked && record->choice == choice.word)
                records.remove(key);
        });
    });
    run_.report.choice_checked(as_shown, check);
    return is_withdrawn;
}

}  // namespace emulsion
