// The command `tune`: its options, and what it prints.
#pragma once

#include <memory>

#include "dsl/command_line.h"
#include "runtime/support/machine_speed.h"
#include "schedules/tune/tuner.h"

namespace CLI {
class App;
}

namespace emulsion {

void add_tune_options(CLI::App* command, CommandLine& line);

// Throws Error[usage] where the budget or a name is no good.
void check_tune_options(CLI::App* command, CommandLine& line);

// Tunes the network and returns the exit code. Without --records and --journal the files are
// NAME.records and NAME.journal in the current folder. Throws Error.
int run_tune(const CommandLine& line, const Network& network);

// What happens, a line each: for a reader, or as JSON.
std::unique_ptr<TuneReport> make_tune_report(bool as_json, const MachineSpeed& machine);

}  // namespace emulsion
