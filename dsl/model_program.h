// Model files in C++: compiled into a program that links libemulsion.so, which is then run.
#pragma once

#include <string>
#include <vector>

namespace emulsion {

// Compiles `file` with the system's C++ compiler and runs the result with these arguments; returns
// its exit code. Throws Error[file] where it cannot be read, [compiler] without a compiler, [model]
// where it does not compile.
int run_model_file(const std::string& file, const std::vector<std::string>& arguments);

}  // namespace emulsion
