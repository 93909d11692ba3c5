// See acceptance.h.
#include "schedules/tune/acceptance.h"

#include <algorithm>

namespace emulsion {

namespace {

constexpr int kConfirmAttempts = 3;  // where something else took the processors

double gain_of(const Confirmation& c) { return c.tuned_us > 0 ? c.default_us / c.tuned_us : 0; }

}  // namespace

bool confirm(TuneRun& run, Task& task, const Candidate& current, const Candidate& candidate) {
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
    run.journal.alone([&] {
        const std::optional<Confirmation> best = best_of(run, task);
        if (best && best->candidate != current && gain_of(*best) >= gain_of(confirmation))
            confirmation.is_accepted = false;
        if (confirmation.is_accepted) {
            const TunedRecord record = run.record_of(task, confirmation);
            run.change_records([&](RecordSet& records) { records.replace(record); });
        }
        run.journal.confirm(task.number, confirmation, watch.seconds());
    });
    if (confirmation.is_accepted) task.show_best(confirmation);
    run.report.confirmation(task.shown, confirmation);
    return confirmation.is_accepted;
}

std::optional<Confirmation> best_of(TuneRun& run, const Task& task) {
    const std::vector<Confirmation> checks = run.journal.step_checks(task.number);
    const auto was = [&](const Candidate& candidate, bool accepted) {
        return std::any_of(checks.begin(), checks.end(), [&](const Confirmation& check) {
            return check.candidate == candidate && !check.is_contended &&
                   check.is_accepted == accepted;
        });
    };
    std::vector<Confirmation> list = run.journal.confirmations(task.number);
    std::erase_if(list, [](const Confirmation& c) { return !c.is_accepted; });
    if (list.empty()) return std::nullopt;
    if (!was(list.back().candidate, false)) return list.back();
    const auto former = std::find_if(list.rbegin(), list.rend(), [&](const Confirmation& c) {
        return was(c.candidate, true) && !was(c.candidate, false);
    });
    return former == list.rend() ? std::nullopt : std::optional(*former);
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

}  // namespace emulsion
