// See loop.h.
#include "runtime/train/loop.h"

#include "runtime/data/checkpoint.h"
#include "runtime/program/format.h"
#include "runtime/support/error.h"
#include "runtime/support/text.h"
#include "runtime/train/interrupt.h"
#include "runtime/train/report.h"

namespace emulsion {

TrainingLoop::TrainingLoop(TrainingSession& session, Loader& loader, RunState& state,
                           const LoopOptions& options)
    : session_(session),
      loader_(loader),
      state_(state),
      options_(options),
      bar_(stderr, options.bar),
      total_steps_(state.settings.total_steps(loader.batches())),
      saved_at_(Clock::now()) {}

LoopEnd TrainingLoop::run() {
    // The first checkpoint shows at once whether the folder can be written to.
    if (state_.step == 0) save(Need::kMust);
    loader_.start(state_.epoch, state_.batch);
    while (static_cast<int64_t>(state_.step) < total_steps_) {
        const auto start = Clock::now();
        const Batch& batch = loader_.next();
        train_batch(batch);
        count_time(batch, start);
        const bool is_last = static_cast<int64_t>(state_.step) == total_steps_;
        if (batch.is_last || is_last) {
            end_epoch(batch.is_last);
            save(is_last ? Need::kMust : Need::kMay);
        } else {
            show_progress(batch);
            const double minutes =
                std::chrono::duration<double>(Clock::now() - saved_at_).count() / 60.0;
            if (options_.checkpoint_minutes > 0 && minutes >= options_.checkpoint_minutes)
                save(Need::kMay);
        }
        if (InterruptGuard::signal_number() != 0 && !is_last) {
            bar_.clear();
            save(Need::kMust);
            return LoopEnd::kInterrupted;
        }
    }
    bar_.clear();
    return LoopEnd::kComplete;
}

void TrainingLoop::train_batch(const Batch& batch) {
    rate_ =
        learning_rate(state_.settings.schedule, static_cast<int64_t>(state_.step), total_steps_);
    const StepResult result = session_.step(batch, rate_);
    if (!result.is_finite) {
        fail_not_finite("the loss is NaN or infinite", state_.step + 1);
    }
    state_.sums.add(result.loss, result.correct, batch.samples);
    state_.step++;
    run_steps_++;
    state_.batch = batch.is_last ? 0 : batch.index + 1;
    state_.epoch = batch.is_last ? batch.epoch + 1 : batch.epoch;
}

// The wait for the loader belongs to the time of a step; validation and checkpoints do not.
void TrainingLoop::count_time(const Batch& batch, Clock::time_point start) {
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    epoch_seconds_ += seconds;
    run_seconds_ += seconds;
    epoch_pictures_ += static_cast<uint64_t>(batch.samples);
}

void TrainingLoop::show_progress(const Batch& batch) {
    if (!bar_.is_shown()) return;
    ProgressState progress;
    const int64_t steps = static_cast<int64_t>(loader_.batches());
    progress.epoch = static_cast<int64_t>(batch.epoch) + 1;
    progress.epochs = (total_steps_ + steps - 1) / steps;
    progress.step = static_cast<int64_t>(batch.index) + 1;
    progress.steps = steps;
    progress.loss = state_.sums.loss();
    progress.accuracy = state_.sums.accuracy();
    progress.images_per_second =
        epoch_seconds_ > 0 ? static_cast<double>(epoch_pictures_) / epoch_seconds_ : 0.0;
    const double left = static_cast<double>(total_steps_ - static_cast<int64_t>(state_.step));
    progress.seconds_left = left * run_seconds_ / static_cast<double>(run_steps_);
    bar_.update(progress);
}

// Prints the row of the epoch, or of its part where the run ends within it.
void TrainingLoop::end_epoch(bool is_whole) {
    EpochRecord record;
    record.epoch = static_cast<int64_t>(is_whole ? state_.epoch : state_.epoch + 1);
    record.metrics = state_.sums;
    record.learning_rate = rate_;
    record.seconds = epoch_seconds_;
    record.images_per_second =
        epoch_seconds_ > 0 ? static_cast<double>(epoch_pictures_) / epoch_seconds_ : 0.0;
    if (options_.validate) record.validation = options_.validate();
    bar_.clear();
    if (options_.json) {
        print_results(epoch_json(record, static_cast<int64_t>(state_.step)));
    } else {
        const bool has_validation = static_cast<bool>(options_.validate);
        print_results((has_header_ ? "" : epoch_header(has_validation)) +
                      epoch_row(record, has_validation));
        has_header_ = true;
    }
    if (!is_whole) return;
    state_.history.push_back(record);
    state_.sums = {};
    epoch_seconds_ = 0.0;
    epoch_pictures_ = 0;
}

// Parameters that are not finite are never written. Where the disk refuses a checkpoint that only
// may be written, the run goes on.
void TrainingLoop::save(Need need) {
    if (saved_step_ == state_.step) return;
    if (const char* name = find_not_finite(session_.info(), session_.memory())) {
        fail_not_finite(concat("tensor ", quoted(name), " holds NaN or infinity after the update"),
                        state_.step);
    }
    if (options_.checkpoint.empty()) return;
    saved_at_ = Clock::now();
    try {
        save_checkpoint(options_.checkpoint, session_.info(), session_.sizes(), session_.memory(),
                        to_position(state_));
        saved_step_ = state_.step;
    } catch (const RuntimeError& error) {
        if (need == Need::kMust) throw;
        bar_.clear();
        print_talk(concat("warning: ", error.what(),
                          "\n  the former checkpoint is kept and training goes on\n"));
    }
}

void TrainingLoop::fail_not_finite(const std::string& what, uint64_t step) const {
    const uint64_t epoch = (step - 1) / loader_.batches() + 1;
    std::string kept = "nothing is kept without --checkpoint";
    if (!options_.checkpoint.empty()) {
        kept = saved_step_ ? concat("the checkpoint of step ", *saved_step_, " is kept")
                           : std::string("the checkpoint is as it was");
    }
    throw RuntimeError(
        concat("step ", step, " (epoch ", epoch, ")"),
        concat(what, " at learning rate ", rate_, "; ", kept),
        "lower --learning-rate, or look for values in the data that are far from the others");
}

}  // namespace emulsion
