// One turn of a kernel: some candidates are compiled, checked and timed against its best.
#pragma once

#include "schedules/tune/tune_run.h"

namespace emulsion {

// Takes the kernel up and tries as many candidates, or fewer where the budget ends. Where the
// workbench can, the next ones are compiled while some are timed.
void visit(TuneRun& run, Task& task, int trials);

}  // namespace emulsion
