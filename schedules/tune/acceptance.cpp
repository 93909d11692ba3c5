// See acceptance.h.
#include "schedules/tune/acceptance.h"

#include <algorithm>

namespace emulsion {

namespace {

constexpr int kConfirmAttempts = 3;  // where something else took the processors

}  // namespace

bool confirm(TuneRun& run, Task& task, const Candidate& candidate) {
    Confirmation confirmation{candidate, 0, 0, 0, false, false};
    const Stopwatch watch;
    for (int attempt = 0; attempt < kConfirmAttempts; attempt++) {
        const Trial trial = run.workbench.compare(task.own(), candidate, kConfirmEffort);
        confirmation.default_us = trial.times.current_seconds() * 1e6;
        confirmation.tuned_us = trial.times.candidate_seconds() * 1e6;
        confirmation.spread = trial.times.spread();
        confirmation.is_contended = trial.times.contended;
        confirmation.is_accepted = trial.outcome == Outcome::faster && !confirmation.is_contended;
        if (!confirmation.is_contended) break;
    }
    if (confirmation.is_accepted) {
        const TunedRecord record = run.record_of(task, confirmation);
        run.change_records([&](RecordSet& records) { records.replace(record); });
    }
    run.journal.confirm(task.number, confirmation, watch.seconds());
    if (confirmation.is_accepted) show_best(task, confirmation);
    run.report.confirmation(task.shown, confirmation);
    return confirmation.is_accepted;
}

std::optional<Candidate> best_of(TuneRun& run, const Task& task) {
    std::optional<Candidate> best;
    for (const Confirmation& confirmation : run.journal.confirmations(task.number)) {
        if (confirmation.is_accepted) best = confirmation.candidate;
    }
    return best;
}

std::vector<Candidate> unconfirmed(TuneRun& run, const Task& task) {
    const std::vector<Confirmation> confirmations = run.journal.confirmations(task.number);
    std::vector<Candidate> list;
    for (const Journal::Finished& finished : run.journal.finished(task.number)) {
        if (finished.outcome != Outcome::faster) continue;
        const bool is_settled =
            std::any_of(confirmations.begin(), confirmations.end(), [&](const Confirmation& c) {
                return c.candidate == finished.candidate && !c.is_contended;
            });
        if (!is_settled) list.push_back(finished.candidate);
    }
    return list;
}

void show_best(Task& task, const Confirmation& confirmation) {
    task.shown.default_us = confirmation.default_us;
    task.shown.best_us = confirmation.tuned_us;
    task.shown.best = to_string(confirmation.candidate);
    task.shown.chosen = confirmation.candidate;
    task.own_seconds = confirmation.default_us * 1e-6;
}

}  // namespace emulsion
