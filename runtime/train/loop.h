// The training loop: steps, metrics, validation after every epoch, checkpoints, the end by a
// signal.
//
// A run is a function of its settings and data, and of what it runs on: the processor or a device.
// The loop keeps its place in RunState alone, which a checkpoint holds, so stopping anywhere and
// resuming there gives the same bits as never having stopped. What has been trained is saved before
// anything is looked at or printed.
//
// A device computes a step while the batch of the next one is prepared and handed in. RunState
// tells of steps alone whose loss is known; whatever saves, looks at or ends the run waits for the
// step under way first.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "runtime/data/loader.h"
#include "runtime/train/keeper.h"
#include "runtime/train/reporter.h"
#include "runtime/train/run.h"
#include "runtime/train/session.h"
#include "runtime/train/weights_keeper.h"

namespace emulsion {

struct LoopOptions {
    double checkpoint_minutes = 10;  // 0: only after epochs
    int64_t line_steps = 0;          // a line of progress every so many steps,
    double line_minutes = 0;         // or so often; both 0: none
    // Called before each step with its number; null: nothing is. Not for devices.
    std::function<void(int64_t step)> before_step;
    // Called after each step, whose parameters are in the session's memory; null: nothing is. Not
    // for devices.
    std::function<void()> after_step;
    // Validation of the parameters as they are; null where the settings have none. Nothing where a
    // signal has ended it.
    std::function<std::optional<Evaluation>()> validate;
};

enum class LoopEnd { kComplete, kInterrupted };

class TrainingLoop {
  public:
    // All references must outlive the loop. REQUIRES: the session is bound and holds the parameters
    // of `state`.
    TrainingLoop(TrainingSession& session, Loader& loader, RunState& state,
                 CheckpointKeeper& keeper, WeightsKeeper& weights, Reporter& reporter,
                 const LoopOptions& options);

    // Trains to the end of the run, which its patience may bring about, or until a signal has
    // arrived (StopSignals); the parameters are finite then, and the checkpoint of this place is
    // left to the caller. Throws RuntimeError where the loss is not finite, naming the step; the
    // checkpoint is then that of the last good place.
    LoopEnd run();

    // Whether the place is one at which a validation is due and was not done.
    bool owes_validation() const;
    // Whether the run has ended before all steps are trained, as no epoch was better for so long.
    bool has_lost_patience() const;

  private:
    using Clock = std::chrono::steady_clock;

    void begin();
    void train_batch();
    void settle();
    void take(const StepResult& result);
    bool is_complete() const;
    void end_epoch(bool is_whole);
    void look_at_last();
    void report_step();
    bool is_line_due();
    double epoch_rate() const;
    void follow_metric();
    void fetch_finite();
    [[noreturn]] void fail_not_finite(const std::string& what, uint64_t step) const;

    TrainingSession& session_;
    Loader& loader_;
    RunState& state_;
    CheckpointKeeper& keeper_;
    WeightsKeeper& weights_;
    Reporter& reporter_;
    const LoopOptions& options_;
    int64_t total_steps_;
    Schedule schedule_;         // all in steps
    double rate_factor_ = 1.0;  // by what validation has found so far
    // The steps that are handed in but not yet in state_, at most one. Of that, or of the last one
    // in state_, the batch without its content, and the rate.
    int64_t under_way_ = 0;
    Batch batch_;
    float rate_ = 0.0f;
    Clock::time_point since_;  // of the time that is not yet counted
    Clock::time_point last_line_ = Clock::now();
    // Of this process alone: training time and pictures, for rates.
    double epoch_seconds_ = 0.0, run_seconds_ = 0.0;
    uint64_t epoch_pictures_ = 0, run_steps_ = 0;
};

}  // namespace emulsion
