// How a candidate that won a trial becomes a record, or does not.
#pragma once

#include <optional>
#include <vector>

#include "schedules/tune/tune_run.h"

namespace emulsion {

// Measures a winner again, against the kernel's own schedule; a record where it wins that too, with
// the processors to itself. Whether it does.
bool confirm(TuneRun& run, Task& task, const Candidate& candidate);

// The schedule of the task's last record, by the journal.
std::optional<Candidate> best_of(TuneRun& run, const Task& task);

// Winners that an earlier run could not measure again: it was ended, or was not alone.
std::vector<Candidate> unconfirmed(TuneRun& run, const Task& task);

void show_best(Task& task, const Confirmation& confirmation);

}  // namespace emulsion
