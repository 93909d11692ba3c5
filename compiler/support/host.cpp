// Processes are started with fork and exec, so that arguments never pass through a shell.
#include "compiler/support/host.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "compiler/support/diagnostic.h"

namespace emulsion {

namespace {

namespace fs = std::filesystem;

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

bool may_run(const fs::path& path) {
    std::error_code error;
    return fs::is_regular_file(path, error) && access(path.c_str(), X_OK) == 0;
}

// Ctrl-C is meant for the program that runs: while it does, this process ignores it, as system() of
// the C library does.
class IgnoreInterrupts {
  public:
    IgnoreInterrupts()
        : interrupt_(std::signal(SIGINT, SIG_IGN)), quit_(std::signal(SIGQUIT, SIG_IGN)) {}
    ~IgnoreInterrupts() { restore(); }
    void restore() const {
        std::signal(SIGINT, interrupt_);
        std::signal(SIGQUIT, quit_);
    }

  private:
    void (*interrupt_)(int);
    void (*quit_)(int);
};

[[noreturn]] void exec_child(const std::vector<std::string>& command, int output) {
    if (output >= 0) {
        dup2(output, STDOUT_FILENO);
        dup2(output, STDERR_FILENO);
    }
    std::vector<char*> arguments;
    for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    execvp(arguments[0], arguments.data());
    _exit(127);
}

std::string read_all(int file) {
    std::string text;
    char buffer[4096];
    ssize_t count = 0;
    while ((count = read(file, buffer, sizeof buffer)) > 0 || (count < 0 && errno == EINTR)) {
        if (count > 0) text.append(buffer, static_cast<size_t>(count));
    }
    return text;
}

}  // namespace

fs::path find_program(const std::string& name) {
    if (name.find('/') != std::string::npos) return may_run(name) ? fs::path(name) : fs::path();
    std::string paths = environment("PATH");
    for (size_t start = 0; start <= paths.size();) {
        size_t end = std::min(paths.find(':', start), paths.size());
        fs::path candidate = fs::path(paths.substr(start, end - start)) / name;
        if (end > start && may_run(candidate)) return candidate;
        start = end + 1;
    }
    return {};
}

std::string find_compiler() {
    std::string chosen = environment("CXX");
    if (!chosen.empty()) {
        if (!find_program(chosen).empty()) return chosen;
        fail("compiler", fmt::format("the C++ compiler '{}' named by CXX cannot be run", chosen),
             "set CXX to a C++20 compiler, or unset it");
    }
    for (const char* name : {"c++", "g++", "clang++"}) {
        if (!find_program(name).empty()) return name;
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

int run_program(const std::vector<std::string>& command, std::string* output) {
    if (find_program(command.at(0)).empty()) {
        fail("program",
             fmt::format("the program '{}' cannot be run: it is missing or not executable",
                         command[0]),
             "check the path and its permissions");
    }
    int ends[2] = {-1, -1};
    if (output != nullptr && pipe2(ends, O_CLOEXEC) != 0) {
        fail("program", fmt::format("no pipe for '{}': {}", command[0], std::strerror(errno)),
             "close some files");
    }
    IgnoreInterrupts ignore;
    pid_t child = fork();
    if (child == 0) {
        ignore.restore();
        exec_child(command, ends[1]);
    }
    if (ends[1] >= 0) close(ends[1]);
    if (child < 0) {
        if (ends[0] >= 0) close(ends[0]);
        fail("program", fmt::format("'{}' cannot be started: {}", command[0], std::strerror(errno)),
             "free memory or processes");
    }
    if (output != nullptr) {
        *output = read_all(ends[0]);
        close(ends[0]);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void make_output_folder(const fs::path& folder) {
    std::error_code error;
    fs::create_directories(folder, error);
    std::string reason = error ? error.message() : "";
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

TemporaryFolder::TemporaryFolder() {
    std::error_code error;
    const fs::path parent = fs::temp_directory_path(error);
    std::string path = (parent / "emulsion-XXXXXX").string();
    if (error || mkdtemp(path.data()) == nullptr) {
        fail("temporary",
             fmt::format("no temporary folder can be made in '{}': {}", parent.string(),
                         error ? error.message() : std::strerror(errno)),
             "set TMPDIR to a folder that you may write to");
    }
    path_ = path;
}

TemporaryFolder::~TemporaryFolder() {
    std::error_code error;
    fs::remove_all(path_, error);
}

}  // namespace emulsion
