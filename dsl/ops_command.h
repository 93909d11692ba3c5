// The command `ops`: the table of all ops, or what is written about one.
#pragma once

#include <string>
#include <vector>

#include "dsl/command_line.h"

namespace CLI {
class App;
}

namespace emulsion {

void add_ops_command(CLI::App& app, CommandLine& line);

// A row of the table; a field is empty where there is no such thing.
struct OpRow {
    std::string kind = {};
    std::string gradient = {};  // "yes", or "none: " and why
    std::vector<std::string> recipes = {}, device_recipes = {};
    std::string test = {}, documentation = {};  // files
};
std::vector<OpRow> op_rows();

// Prints the table, or one op's documentation, attributes and defaults, and returns the exit code.
// Throws Error[unknown_op].
int run_ops(const CommandLine& line);

}  // namespace emulsion
