// See tuner.h.
#include "schedules/tune/tuner.h"

#include <algorithm>

#include "compiler/support/interrupts.h"
#include "schedules/tune/choice_check.h"
#include "schedules/tune/choice_search.h"
#include "schedules/tune/step_check.h"
#include "schedules/tune/tune_run.h"
#include "schedules/tune/visit.h"

namespace emulsion {

namespace {

constexpr double kCheckSeconds = 120;  // between two checks of records in the step
constexpr double kCompileSeconds = 8;  // of a step's kernels, between two visits

// Of what is in force: the records first, then the choices with those that stay. Whether the run
// has planned anew.
bool check_in_step(TuneRun& run, ChoiceCheck& choices) {
    check_records(run);
    return choices.is_due() && choices.check();
}

TuneEnd search(TuneRun& run, ChoiceCheck& choices_in_force) {
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
        const bool has_records = has_unchecked(run), has_choices = choices_in_force.is_due();
        if (!has_records && !has_choices) {
            run.reserved_seconds = 0;
        } else if (since_check.seconds() > kCheckSeconds) {
            if (check_in_step(run, choices_in_force)) {
                knows_shares = false;
                choices.look_anew();
            }
            since_check = {};
        } else {
            const double needed = (has_records ? seconds_of_check(run) : 0) +
                                  (has_choices ? choices_in_force.seconds() : 0);
            reserve(run, needed);
        }
    }
}

// Records that an earlier run could not check are checked first.
TuneEnd tune_all(TuneRun& run) {
    if (run.is_spent()) return TuneEnd::budget;
    ChoiceCheck choices(run);
    check_in_step(run, choices);
    const TuneEnd why = search(run, choices);
    run.reserved_seconds = 0;
    check_in_step(run, choices);
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
