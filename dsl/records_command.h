// The command `records`, which looks at and puts together files of tuned records, and what a build
// takes from them.
#pragma once

#include <memory>

#include "dsl/command_line.h"
#include "schedules/tune/record_set.h"

namespace CLI {
class App;
}

namespace emulsion {

void add_records_command(CLI::App& app, CommandLine& line);

// list, show, merge, prune, export or model; returns the exit code: 1 where a file has broken
// lines, which are named. Throws Error.
int run_records(const CommandLine& line);

// The records of the line's files for this machine; null where no file is named. Says on stderr
// what is broken and how many are of other machines. Throws Error[record].
std::unique_ptr<MachineRecords> records_of(const CommandLine& line);

}  // namespace emulsion
