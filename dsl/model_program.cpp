// Speed counts here more than that of the result: the model program only describes a network and
// calls the library, so it is compiled without optimisation.
#include "dsl/model_program.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <sstream>

#include "compiler/support/diagnostic.h"
#include "compiler/support/host.h"

namespace emulsion {

namespace {

namespace fs = std::filesystem;

// The folder from which dsl/emulsion.h is included: beside an installed library, else that of the
// build's sources.
fs::path include_folder() {
    fs::path installed = library_folder().parent_path() / "include";
    std::error_code error;
    if (fs::exists(installed / "dsl/emulsion.h", error)) return installed;
    return EMULSION_SOURCE_DIR;
}

std::vector<std::string> compile_command(const std::string& file, const fs::path& program) {
    fs::path libraries = library_folder();
    std::vector<std::string> command = {find_compiler(), "-std=c++20", "-O0", "-I",
                                        include_folder().string()};
    std::istringstream flags(EMULSION_MODEL_FLAGS);
    for (std::string flag; flags >> flag;) command.push_back(flag);
    for (const std::string& word :
         {file, std::string("-o"), program.string(), (libraries / "libemulsion.so").string(),
          "-Wl,-rpath," + libraries.string()}) {
        command.push_back(word);
    }
    return command;
}

}  // namespace

int run_model_file(const std::string& file, const std::vector<std::string>& arguments) {
    if (access(file.c_str(), R_OK) != 0) {
        fail("file", fmt::format("'{}' cannot be read: {}", file, std::strerror(errno)),
             "name a model file that exists and that you may read");
    }
    TemporaryFolder folder;
    fs::path program = folder.path() / fs::path(file).stem();
    if (int status = run_program(compile_command(file, program)); status != 0) {
        fail("model",
             fmt::format("'{}' does not compile: the C++ compiler ended with {}", file, status),
             "mend what the compiler reports above");
    }
    std::vector<std::string> command = {program.string()};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return run_program(command);
}

}  // namespace emulsion
