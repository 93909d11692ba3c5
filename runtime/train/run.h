// A training run as data: its settings, its history and where it stands, and their text in a
// checkpoint.
//
// Settings that decide the bits of a run (data, batch, seed, rate, schedule, validation split) are
// fixed when it begins; --resume takes them from the checkpoint and refuses others. Only the length
// may change.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/data/checkpoint.h"
#include "runtime/program/description.h"
#include "runtime/program/evaluate.h"
#include "runtime/train/options.h"
#include "runtime/train/schedule.h"

namespace emulsion {

struct RunSettings {
    std::string data;
    int64_t epochs = 1;
    int64_t steps = 0;  // 0: epochs decide the length
    int batch = 1;
    uint64_t seed = 1;
    Schedule schedule;
    std::string validation;  // "", "test" or a fraction

    int64_t total_steps(uint64_t steps_per_epoch) const;
};

// What the options leave open comes from the network's description.
RunSettings new_settings(const TrainOptions& options, const emulsion_info& info,
                         const NetworkDescription& network);

// The checkpoint's settings with the length of the options, if one is given. Throws UsageError
// where an option contradicts the checkpoint.
RunSettings resumed_settings(const RunSettings& stored, const TrainOptions& options);

// One finished epoch.
struct EpochRecord {
    int64_t epoch = 0;  // counts from 1
    Metrics metrics;
    std::optional<Evaluation> validation;
    float learning_rate = 0.0f;                     // of the last step
    double seconds = 0.0, images_per_second = 0.0;  // training alone; not part of a checkpoint
};

struct RunState {
    RunSettings settings;
    uint64_t data_samples = 0;                // pictures of the training part
    uint32_t data_checksum = 0;               // of its pixels and labels
    uint64_t epoch = 0, batch = 0, step = 0;  // the next batch, steps done
    Metrics sums;                             // of the epoch so far
    std::vector<EpochRecord> history;
};

// CRC-32 of the pixels and labels.
uint32_t checksum_of(const Dataset& dataset);

// Throws RuntimeError where the data are not those that the run began with.
void check_same_data(const RunState& state, const Dataset& dataset);

RunPosition to_position(const RunState& state);
// Throws RuntimeError where the position's text is not that of this version.
RunState from_position(const RunPosition& position);

}  // namespace emulsion
