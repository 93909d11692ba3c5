// See visit.h.
#include "schedules/tune/visit.h"

#include <algorithm>

#include "schedules/tune/acceptance.h"
#include "schedules/tune/step_check.h"

namespace emulsion {

namespace {

constexpr size_t kMostSimilar = 3;  // records of other kernels that a search begins with

class Visit {
  public:
    Visit(TuneRun& run, Task& task) : run_(run), task_(task), current_(task.own()) {}

    void begin() {
        add_starts();
        const Stopwatch watch;
        task_.shown.fault = run_.workbench.take_up(task_.kernel, task_.step_bytes);
        run_.journal.add_seconds(task_.number, watch.seconds());
        run_.report.take_up(task_.shown);
        if (!task_.shown.fault.empty()) {
            task_.is_spent = true;
            return;
        }
        if (const std::optional<Confirmation> best = best_of(run_, task_)) {
            if (is_compiled(best->candidate)) current_ = best->candidate;
        }
        if (!task_.was_visited) {
            for (const Candidate& candidate : unconfirmed(run_, task_)) {
                if (is_compiled(candidate) && confirm(run_, task_, current_, candidate))
                    current_ = candidate;
            }
        }
        task_.was_visited = true;
    }

    void try_candidates(int left) {
        if (run_.is_spent()) return;
        for (std::vector<Candidate> batch = claim(left); !batch.empty();) {
            const Stopwatch watch;
            const std::vector<Trial> compiled = run_.workbench.compile(batch);
            const double seconds = watch.seconds() / static_cast<double>(batch.size());
            left -= static_cast<int>(batch.size());
            std::vector<Candidate> next;
            if (run_.workbench.compiles_ahead()) {
                next = claim(left, static_cast<int>(batch.size()));
                run_.workbench.compile_ahead(next);
            }
            for (size_t i = 0; i < batch.size(); i++) try_one(batch[i], compiled[i], seconds);
            if (run_.is_spent()) break;
            batch = next.empty() ? claim(left) : std::move(next);
        }
    }

  private:
    // Records begin the search, with those that this run has found meanwhile.
    void add_starts() {
        task_.shown.starts.clear();
        if (task_.was_visited) return;
        RecordSet all = run_.options.known;
        all.merge(run_.records);
        const SimilarRecords similar(all);
        for (Start& start : similar.find(task_.kernel, run_.isa, run_.options.threads,
                                         this_machine(), run_.library, kMostSimilar, run_.model)) {
            if (task_.search->add_start(start.candidate))
                task_.shown.starts.push_back(std::move(start));
        }
    }

    bool is_compiled(const Candidate& candidate) {
        return run_.workbench.compile({candidate})[0].outcome == Outcome::slower;
    }

    // As many candidates as the workbench compiles at once, but no more than `left`, and than the
    // budget has trials beside `claimed` ones that are not finished.
    std::vector<Candidate> claim(int left, int claimed = 0) {
        int most = std::min(run_.workbench.jobs(), left);
        if (run_.options.trials > 0)
            most = std::min(most, run_.options.trials - run_.spent().trials - claimed);
        std::vector<Candidate> batch;
        while (static_cast<int>(batch.size()) < most) {
            const std::optional<Candidate> candidate = task_.search->next();
            if (!candidate) {
                task_.is_spent = batch.empty() && claimed == 0;
                break;
            }
            if (run_.journal.claim(task_.number, *candidate)) batch.push_back(*candidate);
        }
        return batch;
    }

    void try_one(const Candidate& candidate, const Trial& compiled, double compile_seconds) {
        const Stopwatch own;
        const Trial trial = compiled.outcome == Outcome::slower
                                ? run_.workbench.compare(current_, candidate, kTrialEffort)
                                : compiled;
        run_.journal.finish(task_.number, candidate, trial, compile_seconds + own.seconds());
        task_.search->learn(candidate, trial.times.candidate_seconds() * 1e6);
        task_.count(trial.outcome);
        if (!trial.times.pairs.empty()) {
            task_.search->learn(current_, trial.times.current_seconds() * 1e6);
            if (current_ == task_.own()) task_.learn_own(trial.times.current_seconds());
        }
        run_.report.trial(task_.shown, candidate, trial);
        if (trial.outcome == Outcome::faster && confirm(run_, task_, current_, candidate)) {
            current_ = candidate;
            reserve(run_, std::max(run_.reserved_seconds, seconds_of_check(run_)));
        }
    }

    TuneRun& run_;
    Task& task_;
    Candidate current_;
};

}  // namespace

void visit(TuneRun& run, Task& task, int trials) {
    Visit turn(run, task);
    turn.begin();
    if (task.is_spent) return;
    turn.try_candidates(trials);
    task.spent_seconds = run.journal.spent({task.number}).seconds;
    weigh(run.tasks);
}

}  // namespace emulsion
