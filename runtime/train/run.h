// Where a run stands, and its text in a checkpoint.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/data/checkpoint.h"
#include "runtime/data/origin.h"
#include "runtime/data/source.h"
#include "runtime/program/evaluate.h"
#include "runtime/train/settings.h"

namespace emulsion {

// One finished epoch, or the part of one that the run has ended in.
struct EpochRecord {
    int64_t epoch = 0;  // counts from 1
    Metrics metrics;
    std::optional<Evaluation> validation;
    float learning_rate = 0.0f;  // of the last step
    // Training alone; not part of a checkpoint, and 0 where another process has trained the epoch.
    double seconds = 0.0, images_per_second = 0.0;
};

struct RunState {
    RunSettings settings;
    uint64_t data_samples = 0;   // pictures of the training part
    uint32_t data_checksum = 0;  // see Source::checksum
    DataFacts data_facts;
    uint64_t epoch = 0, batch = 0, step = 0;  // the next batch, steps done
    Metrics sums;                             // of the epoch so far
    std::vector<EpochRecord> history;
    std::optional<EpochRecord> part;  // where the run has ended within an epoch
};

// What the validation after each whole epoch has found, NaN where there was none or it has no such
// value.
std::vector<double> metrics_of(const std::vector<EpochRecord>& history, ScheduleMetric metric);

// The record of what ends where the run stands, or null.
EpochRecord* last_record(RunState& state);
const EpochRecord* last_record(const RunState& state);

// Whether the validation of that record is due and was not done. Of the part of an epoch it is only
// where the run, of so many steps in all, ends with it.
bool owes_validation(const RunState& state, int64_t total_steps);

// Throws RuntimeError where the data are not those that the run began with: classes, number of
// pictures, checksum.
void check_same_data(const RunState& state, const Source& source, const DataFacts& facts);

// Throw RuntimeError where a state that was read is none that a run of this program can be in:
// batches that the program is not compiled for, or computes in other parts, or of more pictures
// than `largest`, a place outside the epoch, a history and sums that do not reach to this place, or
// counts of other classifiers. `where` names the checkpoint.
void check_batch(const RunState& state, const emulsion_info& info, int largest,
                 const std::string& where);
void check_place(const RunState& state, uint64_t steps_per_epoch, const std::string& where);
void check_heads(const RunState& state, const std::vector<Head>& heads, const std::string& where);

RunPosition to_position(const RunState& state);
// Throws RuntimeError where the position's text is not that of this version, or holds a value that
// no run has. `where` names the checkpoint.
RunState from_position(const RunPosition& position, const std::string& where);

}  // namespace emulsion
