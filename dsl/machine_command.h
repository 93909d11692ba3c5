// The command `machine`: what this machine does at most, as plans for it may take it.
#pragma once

#include "dsl/command_line.h"

namespace CLI {
class App;
}

namespace emulsion {

void add_machine_command(CLI::App& app, CommandLine& line);

// Prints schedules/tune/measured_machine.h of this machine, as text or as the file that --machine
// takes, and returns the exit code. It is measured once, and then read from the file
// machines/CLASS.json of the cache folder; with --measure anew. A file that cannot be read counts
// as absent, and one that cannot be written is no error: both are said on stderr.
int run_machine(const CommandLine& line);

}  // namespace emulsion
