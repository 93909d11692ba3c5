// Writes the weights files of a run, each behind the checkpoint that holds the same parameters:
//
//   weights.safetensors          of the last checkpoint, or the file of --weights
//   weights-best.safetensors     of the epoch that was best in validation
//   weights-epoch-E.safetensors  of each of the last epochs, as many as the settings keep
//
// Which of them are due follows from the place where the run stands (RunState) alone: whoever
// resumes writes again what a kill between checkpoint and weights has left out.
#pragma once
#include <string>
#include <vector>

#include "runtime/data/weights.h"
#include "runtime/train/console.h"
#include "runtime/train/keeper.h"
#include "runtime/train/run.h"
#include "runtime/train/session.h"

namespace emulsion {

inline constexpr const char* kBestWeightsName = "weights-best.safetensors";

// How far the run is and what it has come to, as weights files tell it.
TrainedFor trained_for(const RunState& state);
// The same at the end of a whole epoch of its history.
TrainedFor trained_for(const RunState& state, const EpochRecord& record, uint64_t steps_per_epoch);
// One whose file is at least as long as any of the run.
TrainedFor trained_for_longest(const RunState& state);

// The weights files of any run that are in the folder.
std::vector<std::string> weights_files_in(const std::string& folder);

class WeightsKeeper {
  public:
    // `folder` is the run's; empty: nothing is written but by write_last. `last`: the file of the
    // last checkpoint's weights; empty: none. `names` is the inference library's. All references
    // must outlive the keeper.
    WeightsKeeper(std::string folder, std::string last, const TrainingSession& session,
                  const emulsion_info& names, const RunState& state, Console& console);

    // The weights are those in this memory, laid out as the session's: the averaged ones. It must
    // outlive the keeper. Without, they are in the session's own.
    void take_from(const emulsion_memory& memory) { memory_ = &memory; }
    const emulsion_memory& memory() const { return memory_ ? *memory_ : session_.memory(); }

    // Writes what is due where the run stands, which is nothing before the first step. Where the
    // disk refuses a file that only may be written, a warning says so, and the run goes on; one
    // that must be written throws RuntimeError. What is written already is not written again.
    void save(CheckpointKeeper::Need need);

    // Writes the weights to `last`, as those of `trained`. Returns the
    // path; empty where there is none. Throws RuntimeError.
    std::string write_last(const TrainedFor& trained);

    // Reads the weights of the best epoch back into their memory. Throws RuntimeError where
    // the file is not that of `trained`.
    void restore_best(const TrainedFor& trained);

    std::string best_path() const;

  private:
    void write(const std::string& path, const TrainedFor& trained) const;
    // Whether the file is written; false: a warning has said so.
    bool write_or_warn(CheckpointKeeper::Need need, const std::string& path,
                       const TrainedFor& trained, const char* consequence);
    void remove_old_epochs() const;

    const std::string folder_, last_;
    const TrainingSession& session_;
    const emulsion_info& names_;
    const RunState& state_;
    Console& console_;
    const emulsion_memory* memory_ = nullptr;
    TrainedFor written_;  // to last_
};

}  // namespace emulsion
