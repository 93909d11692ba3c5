// What happens in a run, one function an event, for whoever shows it. There is one file for each
// form: text_reporter.cpp, json_reporter.cpp, csv_reporter.cpp, log_reporter.cpp,
// page_reporter.cpp, tensorboard_reporter.cpp; a new one is one more, and a line where a run
// chooses among them. An event that a form does not show it leaves out.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/data/initial_weights.h"
#include "runtime/program/mistakes.h"
#include "runtime/program/profile.h"
#include "runtime/train/console.h"
#include "runtime/train/run.h"

namespace emulsion {

// Everything a run is made of, known before the first step.
struct RunFacts {
    const emulsion_info* info = nullptr;
    const NetworkDescription* network = nullptr;
    const RunSettings* settings = nullptr;
    const emulsion_sizes* sizes = nullptr;  // of the training library
    uint64_t train_pictures = 0, validation_pictures = 0, test_pictures = 0;
    bool holds_out = false;  // those of validation are a share of the training part
    uint64_t steps_per_epoch = 1;
    int threads = 1;  // 0: not known, nor is the variant
    int variant = 0;  // as in emulsion_options
    const Device* device = nullptr;
    std::vector<std::string> class_names = {};          // the network's, or those of the data
    const RunState* resumed = nullptr;                  // where a resumed run goes on
    const std::vector<std::string>* command = nullptr;  // that the program was called with
    // The weights as they are saved, laid out as those of `info`; whole whenever an epoch or the
    // end is told. Null where they are in a file alone.
    const emulsion_memory* weights = nullptr;
};

// Seconds of the kernels of a step, by their line in emulsion_info.
struct KernelTimes {
    int samples = 1;
    double seconds = 0.0;  // of the whole step
    std::vector<std::pair<std::string, double>> kernels;
};

class Reporter {
  public:
    virtual ~Reporter() = default;
    // What --dry-run shows, and nothing after it.
    virtual void plan(const RunFacts&) {}
    virtual void settings(const RunFacts&) {}
    // What became of the tensors of --init.
    virtual void init(const std::string&, const InitialWeights&) {}
    // After every step but those that end an epoch, and as often as --log-every says.
    virtual void step(const ProgressState&) {}
    virtual void line(const ProgressState&) {}
    // One of step `step` is saved.
    virtual void checkpoint(int64_t) {}
    // An epoch, or the part of it that the run ends with, after optimiser step `step`.
    virtual void epoch(const EpochRecord&, int64_t) {}
    // The file of the result, which is of step `step`, and what the test says of it.
    virtual void weights(const std::string&, int64_t) {}
    // What --profile has measured, to be shown; what every --profile has, wherever it goes.
    virtual void profile(const CallProfile&, const emulsion_info&) {}
    virtual void measured(const KernelTimes&, int64_t) {}
    virtual void test(const Evaluation&, int64_t) {}
    // The pictures of the test, or else of the last validation, that are mistaken most surely,
    // where somebody has asked for them.
    virtual void mistakes(const std::vector<ShownMistake>&, int64_t) {}
    // Nothing follows. Throws RuntimeError where what is kept until then cannot be written.
    virtual void end() {}
};

// `console` must outlive the reporter. `has_validation` and `top` are those of the settings, until
// these are told.
std::unique_ptr<Reporter> make_text_reporter(Console& console, bool has_validation = false,
                                             int top = 0);
std::unique_ptr<Reporter> make_json_reporter(Console& console);
// The logs in the folder of a run.
std::unique_ptr<Reporter> make_log_reporter(const std::string& folder, Console& console);
// Of CSV, the epochs alone.
std::unique_ptr<Reporter> make_csv_reporter(Console& console);
// One page of HTML in the file, written at the end.
std::unique_ptr<Reporter> make_page_reporter(std::string path);
// Event files of TensorBoard in the folder, appended as the run goes on.
std::unique_ptr<Reporter> make_tensorboard_reporter(std::string folder, Console& console);
// Tells one after the other.
std::unique_ptr<Reporter> join_reporters(std::vector<std::unique_ptr<Reporter>> reporters);

// Settings for people, each with its name.
std::vector<std::vector<std::string>> settings_rows(const RunFacts& facts);

// Settings and memory for people. With `has_rates` the learning rates of chosen steps follow: what
// --dry-run prints.
std::string settings_text(const RunFacts& facts, bool has_rates);

// What became of the tensors of --init, for people: how many have taken values of the file, which
// are drawn anew and why, and what is left over in the file. The first few of each are named.
std::string initial_text(const std::string& path, const InitialWeights& initial);

// The steps, counted from 1, whose rates are worth printing: the first four, eight more through the
// run, the last.
std::vector<int64_t> steps_to_show(int64_t total_steps);

// Of the host's memory, and of the device's.
uint64_t sum_of(const emulsion_sizes& sizes);
uint64_t device_sum_of(const emulsion_sizes& sizes);

}  // namespace emulsion
