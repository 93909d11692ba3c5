// The command line of the trainer. What was not given stays empty: defaults come from the network's
// description or, with --resume, from the checkpoint.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/abi/program.h"
#include "runtime/program/command_line.h"
#include "runtime/program/data_options.h"
#include "runtime/program/description.h"
#include "runtime/program/device.h"
#include "runtime/train/schedule.h"

namespace emulsion {

// Of a run; a checkpoint tells of every epoch, within kMostCheckpointHead.
constexpr int64_t kMostEpochs = 100000;
constexpr double kMostWeightDecay = 1e6;
constexpr int64_t kMostSteps = 1000000000000;
constexpr int kMostTop = 1000000;         // classes
constexpr double kMostDecay = 0.9999999;  // of an average; single floats know no more

enum class Resume {
    kNo,
    kYes,
    kAuto  // where the folder holds a run
};

struct TrainOptions {
    std::string program;               // as typed, for messages
    std::vector<std::string> command;  // all arguments, the program's name first
    std::string data;                  // name of a data set, or path
    std::string images, labels;        // files, in the place of `data`
    DataOptions reading;
    std::optional<std::string> split;  // kRandomSplit or kLeadingSplit
    std::string init;                  // weights file to begin with
    std::optional<int64_t> epochs, steps;
    std::optional<double> learning_rate, momentum, weight_decay;
    std::optional<double> lowest_momentum, highest_momentum;  // of --cycle-momentum
    std::optional<ScheduleKind> schedule;
    std::optional<int> batch;
    std::optional<uint64_t> seed;
    std::optional<std::string> validation;  // "test", a fraction, or data
    std::optional<std::string> best;        // "loss" or "accuracy"
    std::optional<int64_t> patience, keep;
    std::optional<double> ema;
    std::optional<int> top;
    bool confusion = false;
    bool boxes = false;
    int threads = 1;
    int variant = 0;         // as in emulsion_options
    Device device;           // of the training library
    std::string checkpoint;  // folder
    std::optional<double> checkpoint_minutes;
    std::string weights;            // file; CHECKPOINT/weights.safetensors where a folder is given
    std::string profile;            // file, kPrintProfile, or empty: none
    std::string trace;              // file, or empty: none
    std::string rate_test;          // file, or empty: a run, no range test
    std::string report;             // file of a page, or empty: none
    std::string tensorboard;        // folder, or empty: none
    std::string preview, ablation;  // files of --augment-preview, --augment-ablation, or empty
    bool no_augment = false;
    std::string history;  // folder of a run whose epochs are printed, instead of training
    int64_t line_steps = 0;
    double line_minutes = 0;
    Resume resume = Resume::kNo;
    bool overwrite = false, dry_run = false;
    bool quiet = false, no_progress = false, json = false, csv = false;
};

// The data that a new run needs are not given.
[[noreturn]] void refuse_missing_data(const TrainOptions& options);

// Throws UsageError, and RuntimeError where the device asked for is not there; kShown: help,
// version, devices or a history were printed and the program ends with 0.
CommandLineResult parse_train_options(int argc, const char* const* argv,
                                      const emulsion_train_library& library,
                                      const NetworkDescription& network, TrainOptions* options);

}  // namespace emulsion
