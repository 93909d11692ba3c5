// Processes are started with fork and exec, so that arguments never pass through a shell.
#include "compiler/support/process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "compiler/support/diagnostic.h"

namespace emulsion {

namespace {

namespace fs = std::filesystem;

bool may_run(const fs::path& path) {
    std::error_code error;
    return fs::is_regular_file(path, error) && access(path.c_str(), X_OK) == 0;
}

void check_program(const std::string& name) {
    if (!find_program(name).empty()) return;
    fail("program",
         fmt::format("the program '{}' cannot be run: it is missing or not executable", name),
         "check the path and its permissions");
}

[[noreturn]] void fail_start(const std::string& name, int code) {
    fail("program", fmt::format("'{}' cannot be started: {}", name, std::strerror(code)),
         "free memory, processes or open files");
}

// What exec takes: made before a fork, since the child of a threaded process may allocate nothing.
class ExecArguments {
  public:
    ExecArguments(const std::vector<std::string>& command, const fs::path& temporary)
        : words_(command), path_(find_program(command[0])) {
        if (!temporary.empty()) variables_.push_back("TMPDIR=" + temporary.string());
        for (char** variable = environ; *variable != nullptr; variable++) {
            if (temporary.empty() || !std::string_view(*variable).starts_with("TMPDIR="))
                variables_.emplace_back(*variable);
        }
        for (std::string& word : words_) arguments_.push_back(word.data());
        for (std::string& variable : variables_) environment_.push_back(variable.data());
        arguments_.push_back(nullptr);
        environment_.push_back(nullptr);
    }
    // Returns only where it fails.
    void run() { execve(path_.c_str(), arguments_.data(), environment_.data()); }

  private:
    std::vector<std::string> words_, variables_;
    fs::path path_;
    std::vector<char*> arguments_, environment_;
};

struct Pipe {
    int ends[2] = {-1, -1};
    bool open() { return pipe2(ends, O_CLOEXEC) == 0; }
    void close_end(int which) {
        if (ends[which] >= 0) close(ends[which]);
        ends[which] = -1;
    }
    ~Pipe() {
        close_end(0);
        close_end(1);
    }
};

std::string read_all(int file) {
    std::string text;
    char buffer[4096];
    ssize_t count = 0;
    while ((count = read(file, buffer, sizeof buffer)) > 0 || (count < 0 && errno == EINTR)) {
        if (count > 0) text.append(buffer, static_cast<size_t>(count));
    }
    return text;
}

int wait_for(pid_t child) {
    int status = 0;
    pid_t ended = -1;
    while ((ended = waitpid(child, &status, 0)) < 0 && errno == EINTR) {
    }
    EMU_CHECK(ended == child, "a child cannot be waited for: {}", std::strerror(errno));
    return status;
}

int exit_code_of(int status) {
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// The child of run_program: starts the tool in a group of their own, ends with its status, and
// kills the group when the parent is gone. The kernel would tell the tool alone, not what it
// started.
[[noreturn]] void guard(ExecArguments& tool, int output) {
    setpgid(0, 0);
    std::signal(SIGTTOU, SIG_IGN);  // the tool may write to the terminal
    sigset_t awaited;
    sigemptyset(&awaited);
    sigaddset(&awaited, SIGTERM);  // of fork_child, at the parent's death
    sigaddset(&awaited, SIGCHLD);
    sigset_t former;
    sigprocmask(SIG_BLOCK, &awaited, &former);
    pid_t child = fork();
    if (child < 0) _exit(127);
    if (child == 0) {
        sigprocmask(SIG_SETMASK, &former, nullptr);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (output >= 0) {
            dup2(output, STDOUT_FILENO);
            dup2(output, STDERR_FILENO);
        }
        tool.run();
        _exit(127);
    }
    for (;;) {
        int signal = 0;
        sigwait(&awaited, &signal);
        if (signal == SIGTERM) kill(0, SIGKILL);
        int status = 0;
        if (waitpid(child, &status, WNOHANG) == child) _exit(exit_code_of(status));
    }
}

}  // namespace

fs::path find_program(const std::string& name) {
    if (name.find('/') != std::string::npos) return may_run(name) ? fs::path(name) : fs::path();
    const char* variable = std::getenv("PATH");
    const std::string paths = variable == nullptr ? "" : variable;
    for (size_t start = 0; start <= paths.size();) {
        size_t end = std::min(paths.find(':', start), paths.size());
        fs::path candidate = fs::path(paths.substr(start, end - start)) / name;
        if (end > start && may_run(candidate)) return candidate;
        start = end + 1;
    }
    return {};
}

int run_program(const std::vector<std::string>& command, const RunOptions& options) {
    check_program(command.at(0));
    Pipe pipe;
    if (options.output != nullptr && !pipe.open()) fail_start(command[0], errno);
    ExecArguments tool(command, options.temporary);
    int status = 0;
    {
        SignalsReach reach(OnSignal::kill_group);
        const pid_t child = fork_child(SIGTERM);
        if (child == 0) guard(tool, pipe.ends[1]);
        if (child < 0) fail_start(command[0], errno);
        setpgid(child, child);  // here as well: whoever comes first
        reach.set_child(child);
        pipe.close_end(1);
        if (options.output != nullptr) *options.output = read_all(pipe.ends[0]);
        status = wait_for(child);
    }
    check_interrupts();
    return exit_code_of(status);
}

Successor::Successor(const std::vector<std::string>& command) {
    check_program(command.at(0));
    Pipe pipe;  // brings errno of an exec that fails, or closes
    if (!pipe.open()) fail_start(command[0], errno);
    ExecArguments program(command, {});
    process_ = fork_child(SIGTERM);
    if (process_ == 0) {
        program.run();
        int code = errno;
        ssize_t written = write(pipe.ends[1], &code, sizeof code);
        _exit(written == sizeof code ? 127 : 126);
    }
    if (process_ < 0) fail_start(command[0], errno);
    reach_.set_child(process_);
    pipe.close_end(1);
    int code = 0;
    ssize_t count = 0;
    while ((count = read(pipe.ends[0], &code, sizeof code)) < 0 && errno == EINTR) {
    }
    if (count == 0) return;
    wait_for(process_);
    fail_start(command[0], code);
}

Successor::End Successor::wait() const {
    const int status = wait_for(process_);
    if (WIFSIGNALED(status)) return {0, WTERMSIG(status)};
    return {WEXITSTATUS(status), 0};
}

void become_program(const std::vector<std::string>& command) {
    check_program(command.at(0));
    ExecArguments program(command, {});
    check_interrupts();
    program.run();
    fail_start(command[0], errno);
}

}  // namespace emulsion
