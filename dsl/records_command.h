// The command `records`, which looks at and puts together files of tuned records.
#pragma once

#include "dsl/command_line.h"

namespace CLI {
class App;
}

namespace emulsion {

void add_records_command(CLI::App& app, CommandLine& line);

// list, show, merge, prune, export or model; returns the exit code: 1 where a file has broken
// lines, which are named. Throws Error.
int run_records(const CommandLine& line);

}  // namespace emulsion
