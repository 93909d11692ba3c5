// What the trainer prints: the settings, one row an epoch, the end; as text or as one JSON object a
// line.
#pragma once
#include <cstdint>
#include <string>

#include "runtime/train/run.h"

namespace emulsion {

// Everything a run is made of, known before the first step.
struct RunFacts {
    const emulsion_info* info = nullptr;
    const NetworkDescription* network = nullptr;
    const RunSettings* settings = nullptr;
    const emulsion_sizes* sizes = nullptr;  // of the training library
    uint64_t train_pictures = 0, validation_pictures = 0, test_pictures = 0;
    uint64_t steps_per_epoch = 1;
    int threads = 1;
    int variant = 0;  // as in emulsion_options
};

// Settings and memory for people. With `has_rates` the learning rates of chosen steps follow: what
// --dry-run prints.
std::string settings_text(const RunFacts& facts, bool has_rates);
std::string settings_json(const RunFacts& facts);

// The steps, counted from 1, whose rates are worth printing: the first four, eight more through the
// run, the last.
std::vector<int64_t> steps_to_show(int64_t total_steps);

// The table of epochs. Columns have a fixed width, as rows appear one by one.
std::string epoch_header(bool has_validation);
std::string epoch_row(const EpochRecord& record, bool has_validation);
std::string epoch_json(const EpochRecord& record, int64_t step);

// "test accuracy 91.32 % (9132 of 10000), loss 0.2431".
std::string test_text(const Evaluation& evaluation);
std::string test_json(const Evaluation& evaluation);
std::string weights_text(const std::string& path);
std::string weights_json(const std::string& path);

}  // namespace emulsion
