// Model files in C++: compiled into a program that links libemulsion.so, which is then run.
#pragma once

#include "dsl/command_line.h"

namespace emulsion {

// Compiles the line's file with the system's C++ compiler and runs the result with the arguments
// that say the same; returns its exit code. Throws Error[file] where the file cannot be read,
// [compiler] without a compiler, [model] where it does not compile, crashes or never calls
// compile().
int run_model_file(const CommandLine& line);

// Called by compile(): tells run_model_file that the model got there.
void report_compile_called();

}  // namespace emulsion
