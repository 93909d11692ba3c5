// What `show` draws: the window of a layer of a model, or of one that the command line describes.
#pragma once

#include <string>

#include "dsl/command_line.h"

namespace CLI {
class App;
}

namespace emulsion {

// --layer and --svg; with `describes` also what a layer without a model is described by.
void add_window_options(CLI::App* app, bool describes, CommandLine& line);

// Whether the file of the line is no file but a layer: "conv", "conv_transpose", "max_pool" or
// "average_pool".
bool is_drawn_layer(const CommandLine& line);

// Refuses options of the two ways that do not go together. Error[usage].
void check_window_options(CLI::App* command, const CommandLine& line);

// Draws the layer that the options describe, or --layer of the network, to stdout and into the file
// of --svg. Return the exit code. Throw Error and RuntimeError.
int run_show_described(const CommandLine& line);
int run_show_layer(const CommandLine& line, const Network& network);

}  // namespace emulsion
