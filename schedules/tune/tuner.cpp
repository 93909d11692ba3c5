// See tuner.h.
#include "schedules/tune/tuner.h"

#include "compiler/support/interrupts.h"
#include "schedules/tune/tune_run.h"
#include "schedules/tune/visit.h"

namespace emulsion {

namespace {

TuneEnd search(TuneRun& run) {
    while (Task* task = next_task(run.tasks)) {
        if (run.is_spent()) return TuneEnd::budget;
        visit(run, *task);
    }
    return TuneEnd::nothing_left;
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
        const TuneEnd why = search(run);
        report.end(why, shown(run.tasks), run.spent());
    } catch (const Interrupted&) {
        report.interrupted(shown(run.tasks), run.spent());
        throw;
    }
}

}  // namespace emulsion
