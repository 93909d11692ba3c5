// The command `sweep`: trains a model file with many settings, a process each, and says which are
// the best.
#pragma once

#include "dsl/command_line.h"

namespace CLI {
class App;
}

namespace emulsion {

void add_sweep_options(CLI::App* app, CommandLine& line);

// Of each candidate the folder OUTPUT/NAME=VALUE,… gets the model (net.emu), its libraries and
// programs, and the run of the trainer; OUTPUT/sweep.csv is the table. What is done in the table is
// not done again, and a run that was interrupted is resumed. Returns the exit code: 1 where a
// candidate has failed. Throws Error.
int run_sweep(const CommandLine& line);

}  // namespace emulsion
