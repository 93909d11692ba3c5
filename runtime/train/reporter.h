// What happens in a run, one function an event, for whoever shows it. There is one file for each
// form: text_reporter.cpp, json_reporter.cpp.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

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
    int threads = 1;
    int variant = 0;  // as in emulsion_options
    const Device* device = nullptr;
};

class Reporter {
  public:
    virtual ~Reporter() = default;
    // What --dry-run shows, and nothing after it.
    virtual void plan(const RunFacts& facts) = 0;
    virtual void settings(const RunFacts& facts) = 0;
    virtual void step(const ProgressState& progress) = 0;
    // An epoch, or the part of it that the run ends with, after optimiser step `step`.
    virtual void epoch(const EpochRecord& record, int64_t step) = 0;
    virtual void weights(const std::string& path) = 0;
    virtual void profile(const CallProfile& profile, const emulsion_info& info) = 0;
    virtual void test(const Evaluation& evaluation) = 0;
};

// `console` must outlive the reporter.
std::unique_ptr<Reporter> make_text_reporter(Console& console);
std::unique_ptr<Reporter> make_json_reporter(Console& console);

// Settings and memory for people. With `has_rates` the learning rates of chosen steps follow: what
// --dry-run prints.
std::string settings_text(const RunFacts& facts, bool has_rates);

// The steps, counted from 1, whose rates are worth printing: the first four, eight more through the
// run, the last.
std::vector<int64_t> steps_to_show(int64_t total_steps);

// Of the host's memory, and of the device's.
uint64_t sum_of(const emulsion_sizes& sizes);
uint64_t device_sum_of(const emulsion_sizes& sizes);

}  // namespace emulsion
