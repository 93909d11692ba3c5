// The machine a build runs on: its C++ compiler, where this installation lies, and how to run a
// program.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace emulsion {

// The C++ compiler that compiles model files and links programs: $CXX, else c++, else g++, else
// clang++ on the PATH. Throws Error[compiler] where none can be run.
std::string find_compiler();

// The file that `name` stands for: itself with a slash in it, else the first of that name on the
// PATH that may be run; empty where there is none.
std::filesystem::path find_program(const std::string& name);

// The folder of the library this code runs from, where libemulsion.so and the static libraries of
// the programs lie. EMULSION_LIBRARIES in the environment overrides it.
std::filesystem::path library_folder();

// Runs a program (found on the PATH) with arguments, waits, and returns its exit status (128 +
// signal where a signal ended it). `output`, where given, receives what it wrote to stdout and
// stderr. Throws Error[program] if it cannot be started.
int run_program(const std::vector<std::string>& command, std::string* output = nullptr);

// Makes `folder` where it is missing and checks that files can be made in it; throws Error[output].
void make_output_folder(const std::filesystem::path& folder);

// A folder of its own under $TMPDIR, removed with everything in it at the end.
class TemporaryFolder {
  public:
    TemporaryFolder();
    ~TemporaryFolder();
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

}  // namespace emulsion
