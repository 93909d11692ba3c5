// The environment, the dynamic linker and the file system are asked.
#include "compiler/support/host.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <sstream>

#include "compiler/support/diagnostic.h"
#include "compiler/support/process.h"
#include "runtime/support/error.h"
#include "runtime/support/path.h"

namespace emulsion {

namespace {

namespace fs = std::filesystem;

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

}  // namespace

std::vector<std::string> find_compiler() {
    const std::string chosen = environment("CXX");
    std::istringstream stream(chosen);
    const std::vector<std::string> words(std::istream_iterator<std::string>(stream), {});
    if (!words.empty()) {
        if (!find_program(chosen).empty()) return {chosen};  // whose path may have blanks
        if (!find_program(words[0]).empty()) return words;
        fail("compiler", fmt::format("the C++ compiler '{}' named by CXX cannot be run", chosen),
             "set CXX to a C++20 compiler, or unset it");
    }
    for (const char* name : {"c++", "g++", "clang++"}) {
        if (!find_program(name).empty()) return {name};
    }
    fail("compiler",
         "no C++ compiler is found, and one compiles the model file and links the programs "
         "(c++, g++ and clang++ are not on the PATH)",
         "install g++ (Debian: apt-get install g++), or set CXX to the compiler's path");
}

fs::path library_folder() {
    if (std::string chosen = environment("EMULSION_LIBRARIES"); !chosen.empty()) return chosen;
    Dl_info info;
    int found = dladdr(reinterpret_cast<const void*>(&find_compiler), &info);
    EMU_CHECK(found != 0 && info.dli_fname != nullptr,
              "the library does not know where it was loaded from");
    std::error_code error;
    fs::path path = fs::canonical(info.dli_fname, error);
    return (error ? fs::path(info.dli_fname) : path).parent_path();
}

void make_output_folder(const fs::path& folder) {
    std::string reason;
    try {
        make_folder(folder.string());
    } catch (const RuntimeError& error) {
        reason = error.problem();
    }
    if (reason.empty()) {
        // A probe, since permission bits say nothing of a full or read-only file system.
        std::string probe = (folder / ".emulsion-XXXXXX").string();
        int file = mkstemp(probe.data());
        if (file < 0) {
            reason = std::strerror(errno);
        } else {
            close(file);
            unlink(probe.c_str());
        }
    }
    if (reason.empty()) return;
    fail("output",
         fmt::format("files cannot be written to the output folder '{}': {}", folder.string(),
                     reason),
         "name a folder that you may write to with -o");
}

}  // namespace emulsion
