// The epochs that a run has trained, as its checkpoint tells of them: all of them, whichever
// process has trained them, also while another one goes on.
#pragma once

#include "runtime/train/options.h"

namespace emulsion {

// Prints the epochs of the run in the folder options.history as the options say: a table, CSV, or
// JSON. Throws RuntimeError where there is no checkpoint, or it cannot be read, and UsageError
// where the forms contradict.
void print_history(const TrainOptions& options);

}  // namespace emulsion
