// The command `show`: its stages, and which options of a build have a part in each.
#pragma once

#include <string_view>

#include "dsl/command_line.h"

namespace CLI {
class App;
}

namespace emulsion {

void add_show_options(CLI::App* app, CommandLine& line);

// Throws Error[usage] where there is no such stage, or where an option has no part in it.
void check_show_options(CLI::App* command, const CommandLine& line);

// Whether the command heeds the option: one of show has a part in some stages, and tune makes no
// products.
bool has_part(const CommandLine& line, std::string_view option);

// Prints the stage and returns the exit code. Throws Error.
int run_show(const CommandLine& line, const Network& network);

}  // namespace emulsion
