// The epochs that a run has trained, as its checkpoint tells of them: all of them, whichever
// process has trained them, also while another one goes on. Their times are those of log.jsonl.
#pragma once

#include "runtime/train/options.h"

namespace emulsion {

// Prints the epochs of the run in the folder options.history as the options say: a table with
// curves of loss and accuracy below it, CSV, or JSON; with options.report, writes a page of the
// run, too, which is one of this program's network. Throws RuntimeError where there is no
// checkpoint, or it cannot be read, and UsageError where the forms contradict.
void print_history(const TrainOptions& options, const emulsion_train_library& library,
                   const NetworkDescription& network);

}  // namespace emulsion
