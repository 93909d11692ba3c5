// Programs that this one starts. None outlives it, however it ends.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "compiler/support/interrupts.h"

namespace emulsion {

// The file that `name` stands for: itself with a slash in it, else the first of that name on the
// PATH that may be run; empty where there is none.
std::filesystem::path find_program(const std::string& name);

struct RunOptions {
    std::string* output = nullptr;    // receives what it wrote to stdout and stderr
    std::filesystem::path temporary;  // where it puts temporary files ($TMPDIR), unless empty
};

// Runs a tool (found on the PATH) with arguments, waits, and returns its exit status (128 + signal
// where a signal ended it). A signal that asks this process to end kills the tool and all that it
// started, and throws Interrupted. Throws Error[program] if it cannot be started.
int run_program(const std::vector<std::string>& command, const RunOptions& options = {});

// A program that takes this one's place for the user: it reads the terminal, and signals for this
// process are for it.
class Successor {
  public:
    // Returns when the program runs. Throws Error[program] if it cannot be started.
    explicit Successor(const std::vector<std::string>& command);

    struct End {
        int status = 0;  // its exit status, where no signal ended it
        int signal = 0;
    };
    End wait() const;

  private:
    SignalsReach reach_{OnSignal::forward};
    pid_t process_ = -1;
};

// Turns this process into the program. Throws Error[program] where that fails.
[[noreturn]] void become_program(const std::vector<std::string>& command);

}  // namespace emulsion
