// Saves the checkpoints of a run.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/data/checkpoint.h"
#include "runtime/train/console.h"
#include "runtime/train/reporter.h"
#include "runtime/train/run.h"
#include "runtime/train/session.h"

namespace emulsion {

class CheckpointKeeper {
  public:
    // `folder` empty: nothing is kept. All references must outlive the keeper.
    CheckpointKeeper(std::string folder, const TrainingSession& session, const RunState& state,
                     Reporter& reporter, Console& console);

    // What the checkpoints hold besides the network's memory.
    void keep_more(Blocks more) { more_ = std::move(more); }

    // Where the disk refuses a checkpoint that only may be written, a warning says so, and the run
    // goes on; one that must be written throws RuntimeError. What is saved already is not written
    // again.
    enum class Need { kMust, kMay };
    void save(Need need);

    // The files must not stand beside a checkpoint of this run: the first one replaces them, too.
    void supersede(std::vector<std::string> files) { obsolete_ = std::move(files); }

    bool is_keeping() const { return !folder_.empty(); }
    // The step of the last checkpoint that this process has written.
    std::optional<uint64_t> saved_step() const { return saved_step_; }
    // Since a checkpoint was last written, or tried.
    double minutes() const;

  private:
    using Clock = std::chrono::steady_clock;

    void save_now();

    const std::string folder_;
    const TrainingSession& session_;
    const RunState& state_;
    Reporter& reporter_;
    Console& console_;
    std::vector<std::string> obsolete_;
    Blocks more_;
    std::optional<uint64_t> saved_step_;
    std::string saved_text_;  // of that position
    Clock::time_point tried_at_;
};

}  // namespace emulsion
