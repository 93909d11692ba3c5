// See tuner.h.
#include "schedules/tune/tuner.h"

#include <algorithm>

#include "compiler/support/interrupts.h"
#include "schedules/tune/choice_search.h"
#include "schedules/tune/step_check.h"
#include "schedules/tune/tune_run.h"
#include "schedules/tune/visit.h"

namespace emulsion {

namespace {

constexpr double kCheckSeconds = 120;   // between two checks of records in the step
constexpr double kCompileSeconds = 8;   // of a step's kernels, between two visits
constexpr double kMostReserved = 0.25;  // of the budget, for the last one

TuneEnd search(TuneRun& run) {
    Stopwatch since_check;
    ChoiceSearch choices(run);
    bool knows_shares = !run.options.only.empty();  // what is named is tuned whatever its share
    for (bool is_first = true;; is_first = false) {
        Task* task = next_task(run.tasks);
        if (task == nullptr && !choices.has_next()) return TuneEnd::nothing_left;
        if (run.is_spent()) return TuneEnd::budget;
        // Something is seen at once, the shares after that, then all goes by them.
        if (task != nullptr) visit(run, *task, is_first ? run.workbench.jobs() : kVisitTrials);
        if (!knows_shares) knows_shares = time_defaults(run, kCompileSeconds);
        if (knows_shares && (task == nullptr || choices.is_due()) && choices.try_next())
            knows_shares = false;  // of new kernels
        if (!has_unchecked(run)) {
            run.reserved_seconds = 0;
        } else if (since_check.seconds() > kCheckSeconds) {
            check_records(run);
            since_check = {};
        } else {
            run.reserved_seconds =
                std::min(seconds_of_check(run), kMostReserved * 60 * run.options.minutes);
        }
    }
}

// Records that an earlier run could not check are checked first.
TuneEnd tune_all(TuneRun& run) {
    if (run.is_spent()) return TuneEnd::budget;
    check_records(run);
    const TuneEnd why = search(run);
    check_records(run);
    return why;
}

}  // namespace

void tune(const Network& network, const RecipeLibrary& library, const BuildOptions& build,
          const TuneOptions& options, Workbench& workbench, TuneReport& report) {
    verify_network(network);
    TuneRun run({network, library, build, options, workbench, report});
    if (!run.journal.note().empty()) report.note(run.journal.note());
    run.find();
    report.begin(network.name, run.isa, options, run.tasks.size(), run.spent());
    if (!workbench.compiles_ahead()) {
        report.note(
            "candidates are compiled before they are timed and not meanwhile: no processor is free "
            "beside those that the kernels run on");
    }
    try {
        const TuneEnd why = tune_all(run);
        report.end(why, shown(run.tasks), run.spent());
    } catch (const Interrupted&) {
        report.interrupted(shown(run.tasks), run.spent());
        throw;
    }
}

}  // namespace emulsion
