// How a candidate that won a trial becomes a record, or does not.
#pragma once

#include <optional>
#include <vector>

#include "schedules/tune/tune_run.h"

namespace emulsion {

// Measures a winner over `current` again, against the kernel's own schedule; a record where it wins
// that too, with the processors to itself, and no other tuner has found a better one meanwhile.
// Whether it is one.
bool confirm(TuneRun& run, Task& task, const Candidate& current, const Candidate& candidate);

// What made the task's record: the last confirmation, or where its candidate has lost in the step,
// the last one whose candidate has won there.
std::optional<Confirmation> best_of(TuneRun& run, const Task& task);

// Winners that an earlier run could not measure again: it was ended, or was not alone.
std::vector<Candidate> unconfirmed(TuneRun& run, const Task& task);

}  // namespace emulsion
