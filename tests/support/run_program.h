// Runs a main function in a child process and collects what it prints, and writes its data.
#pragma once
#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/test_folder.h"

namespace emulsion {

struct ProgramResult {
    int exit_code = -1;  // -1 where a signal ended it
    int signal = 0;
    std::string out, err;
};

using ProgramMain = std::function<int(int argc, char** argv)>;

// What a child's streams are instead of an anonymous file whose text the result holds: descriptors,
// or kClosed.
struct ProgramStreams {
    static constexpr int kCaptured = -1, kClosed = -2;
    int out = kCaptured, err = kCaptured;
};

// A child process that runs `main` with these arguments (the first is the program's name). Signals
// have their usual effect in it, and neither stream is a terminal.
class RunningProgram {
  public:
    RunningProgram(const ProgramMain& main, std::vector<std::string> arguments,
                   const ProgramStreams& streams = {});
    ~RunningProgram();  // kills it, unless it was waited for
    RunningProgram(const RunningProgram&) = delete;
    RunningProgram& operator=(const RunningProgram&) = delete;

    pid_t process() const { return child_; }
    void send(int signal) const;
    ProgramResult wait();

  private:
    class Capture;
    std::unique_ptr<Capture> out_, err_;
    pid_t child_ = -1;
};

// Runs it to its end.
ProgramResult run_program(const ProgramMain& main, std::vector<std::string> arguments);

// The trainer and the inference program over the fake library in use. `changes` as in
// fake_description.
ProgramResult run_fake_train(std::vector<std::string> arguments, const std::string& changes = "{}");
std::unique_ptr<RunningProgram> start_fake_train(std::vector<std::string> arguments,
                                                 const ProgramStreams& streams = {});
ProgramResult run_fake_infer(std::vector<std::string> arguments);
std::unique_ptr<RunningProgram> start_fake_infer(std::vector<std::string> arguments,
                                                 const ProgramStreams& streams = {});

// The whole file; fails the test where it cannot be read.
std::string read_text(const std::string& path);

// Writes the IDX pair of one part into the folder. pixels: [n][height][width].
void write_idx_set(const std::string& folder, bool is_test, int height, int width,
                   const std::vector<uint8_t>& pixels, const std::vector<uint8_t>& labels);

// A set that a linear model learns: class k lights up the pixels of index k modulo `classes`, the
// rest is noise.
void write_easy_set(const std::string& folder, bool is_test, int count, int height, int width,
                    int classes);

}  // namespace emulsion
