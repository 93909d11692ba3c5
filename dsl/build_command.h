// The commands `build` and `train`, and the options of a build, which show and tune have too.
#pragma once

#include "dsl/command_line.h"

namespace CLI {
class App;
}

namespace emulsion {

// What the compiler is to do; each command has those that it heeds.
void add_build_options(CLI::App* app, CommandLine& line);
// Of build alone: what the model must be, and the rule of its products.
void add_product_options(CLI::App* app, CommandLine& line);

// Throws Error[usage] or [unsupported] where a value is no good; does nothing for a command without
// the options. Sorts the inference batches.
void check_build_options(CLI::App* command, CommandLine& line);

// Sets for `train` what its user left open, by the words that its trainer gets: with --device of a
// device, and no target, it is built for that; it updates at once unless it may have to compute
// batches in parts, whose gradients it adds up: with a --batch of its own, or where it resumes a
// run.
void fit_to_trainer(CLI::App* command, CommandLine& line);

// Builds the network and returns the exit code; `train` becomes the trainer instead. Throws Error.
int run_build(const CommandLine& line, const Network& network);

}  // namespace emulsion
