// The machine a build runs on: its C++ compiler, where this installation lies, where products go.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace emulsion {

// The C++ compiler that compiles model files and links programs, as the first words of a command:
// $CXX ("ccache g++" is two), else c++, else g++, else clang++ on the PATH. Throws Error[compiler]
// where none can be run.
std::vector<std::string> find_compiler();

// The folder of the library this code runs from, where libemulsion.so and the static libraries of
// the programs lie. EMULSION_LIBRARIES in the environment overrides it.
std::filesystem::path library_folder();

// Makes `folder` where it is missing and checks that files can be made in it; throws Error[output].
void make_output_folder(const std::filesystem::path& folder);

}  // namespace emulsion
