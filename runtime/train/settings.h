// What decides the bits of a run: data, batch, seed, rate, schedule, validation split. They are
// fixed when it begins; --resume takes them from the checkpoint and refuses others. Only the length
// may change (and with it the patience), what is kept and counted beside it, and where it runs: the
// processor and each kind of device round in their own ways, so that a run has the same bits as
// another one where both change it at the same steps.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "runtime/program/description.h"
#include "runtime/train/options.h"
#include "runtime/train/schedule.h"

namespace emulsion {

// Of --split: which pictures of each class are the share for validation.
inline constexpr const char* kRandomSplit = "random";    // drawn by the seed
inline constexpr const char* kLeadingSplit = "leading";  // the first ones

struct RunSettings {
    std::string data;            // empty where there are files
    std::string images, labels;  // files
    std::string resize;          // a PictureRule as text, or empty: what the data want
    double scale = 1.0;          // see table.h
    std::string split;           // kLeadingSplit, or empty: kRandomSplit
    std::string augmentation;    // the network's as text, or empty: none
    bool boxes = false;          // numbers are boxes, which the augmentation moves
    int64_t epochs = 1;
    int64_t steps = 0;  // 0: epochs decide the length
    int batch = 1;
    int part = 1;  // pictures of it that are computed at once, at most
    uint64_t seed = 1;
    Schedule schedule;
    std::string validation;  // "", "test", a fraction, or data by name or path
    std::string best;        // metric of validation: "loss", "accuracy"; "": no epoch is best
    int64_t patience = 0;    // epochs without a better one that end the run; 0: none do
    int64_t keep = 0;        // so many last epochs' weights are kept
    double ema = 0.0;        // decay of the averaged weights; 0: there are none
    int top = 0;             // validation and test count labels among so many best; 0: no
    bool confusion = false;  // they count which classes are taken for which
    // Given in place of what the network was built with, where its optimiser is adjustable.
    std::optional<double> momentum, weight_decay;
    // Between which the momentum goes against the rate; both or none.
    std::optional<double> lowest_momentum, highest_momentum;

    // What messages call the data.
    const std::string& data_name() const { return images.empty() ? data : images; }
    int64_t total_steps(uint64_t steps_per_epoch) const;
    // The schedule with its counts of epochs in steps.
    Schedule rates(uint64_t steps_per_epoch) const;
};

// What the options leave open comes from the network's description. Throws UsageError where an
// option makes no sense with it.
RunSettings new_settings(const TrainOptions& options, const emulsion_info& info,
                         const NetworkDescription& network);

// The checkpoint's settings with the length of the options, if one is given. Throws UsageError
// where an option contradicts the checkpoint.
RunSettings resumed_settings(const RunSettings& stored, const TrainOptions& options);

}  // namespace emulsion
