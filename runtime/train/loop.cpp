// See loop.h.
#include "runtime/train/loop.h"

#include "runtime/support/error.h"
#include "runtime/support/text.h"
#include "runtime/train/best.h"
#include "runtime/train/interrupt.h"

namespace emulsion {

using Need = CheckpointKeeper::Need;

TrainingLoop::TrainingLoop(TrainingSession& session, Loader& loader, RunState& state,
                           CheckpointKeeper& keeper, WeightsKeeper& weights, Reporter& reporter,
                           const LoopOptions& options)
    : session_(session),
      loader_(loader),
      state_(state),
      keeper_(keeper),
      weights_(weights),
      reporter_(reporter),
      options_(options),
      total_steps_(state.settings.total_steps(loader.batches())),
      schedule_(state.settings.rates(loader.batches())) {}

LoopEnd TrainingLoop::run() {
    begin();
    while (!is_complete()) {
        if (StopSignals::of_process().arrived() != 0) {
            settle();
            fetch_finite();
            return LoopEnd::kInterrupted;
        }
        train_batch();
        if (batch_.is_last || static_cast<int64_t>(state_.step) + under_way_ == total_steps_) {
            settle();
            end_epoch(batch_.is_last);
        } else if (options_.checkpoint_minutes > 0 &&
                   keeper_.minutes() >= options_.checkpoint_minutes) {
            settle();
            fetch_finite();
            keeper_.save(Need::kMay);
            weights_.save(Need::kMay);
        }
    }
    return LoopEnd::kComplete;
}

bool TrainingLoop::is_complete() const {
    return static_cast<int64_t>(state_.step) + under_way_ >= total_steps_ || has_lost_patience();
}

// Asked between epochs, and so after each validation.
bool TrainingLoop::has_lost_patience() const {
    const RunSettings& settings = state_.settings;
    return settings.patience > 0 && state_.batch == 0 &&
           static_cast<int64_t>(state_.step) < total_steps_ &&
           epochs_since_best(state_.history, settings.best) >= settings.patience;
}

bool TrainingLoop::owes_validation() const {
    return emulsion::owes_validation(state_, total_steps_);
}

// The first checkpoint shows at once whether the folder can be written to, also where the run goes
// on. An epoch whose validation was interrupted is looked at first.
void TrainingLoop::begin() {
    fetch_finite();
    keeper_.save(Need::kMust);
    weights_.save(Need::kMust);
    if (owes_validation()) look_at_last();
    follow_metric();
    loader_.start(state_.epoch, state_.batch);
}

// Hands in the next batch, and takes what the step before it has come to, or at once its own.
void TrainingLoop::train_batch() {
    if (under_way_ == 0) since_ = Clock::now();
    const Batch& batch = loader_.next();
    const int64_t step = static_cast<int64_t>(state_.step) + under_way_;
    const float rate = learning_rate(schedule_, step, total_steps_, rate_factor_);
    if (options_.before_step) options_.before_step(step);
    const StepResult result = session_.step(batch, rate);
    const bool is_own = under_way_ == 0 && result.is_there;
    if (under_way_ > 0) take(result);
    batch_ = batch;
    rate_ = rate;
    under_way_ = 1;
    if (is_own) take(result);
}

void TrainingLoop::settle() {
    if (under_way_ > 0) take(session_.wait());
}

// What the step under way has come to. The wait for the loader belongs to its time; validation and
// checkpoints do not.
void TrainingLoop::take(const StepResult& result) {
    if (result.fault != nullptr) fail_not_finite(result.fault, state_.step + 1);
    under_way_ = 0;
    state_.sums.add(result.loss, result.correct, batch_.samples);
    state_.sums.add_losses(result.losses, batch_.samples);
    state_.part.reset();
    state_.step++;
    run_steps_++;
    if (options_.after_step) options_.after_step();
    state_.batch = batch_.is_last ? 0 : batch_.index + 1;
    state_.epoch = batch_.is_last ? batch_.epoch + 1 : batch_.epoch;
    const auto now = Clock::now();
    const double seconds = std::chrono::duration<double>(now - since_).count();
    since_ = now;
    epoch_seconds_ += seconds;
    run_seconds_ += seconds;
    epoch_pictures_ += static_cast<uint64_t>(batch_.samples);
    if (!batch_.is_last && static_cast<int64_t>(state_.step) < total_steps_) report_step();
}

double TrainingLoop::epoch_rate() const {
    return epoch_seconds_ > 0 ? static_cast<double>(epoch_pictures_) / epoch_seconds_ : 0.0;
}

void TrainingLoop::report_step() {
    ProgressState progress;
    const int64_t steps = static_cast<int64_t>(loader_.batches());
    progress.epoch = static_cast<int64_t>(batch_.epoch) + 1;
    progress.epochs = (total_steps_ + steps - 1) / steps;
    progress.step = static_cast<int64_t>(batch_.index) + 1;
    progress.steps = steps;
    progress.loss = state_.sums.loss();
    progress.accuracy = state_.sums.accuracy();
    progress.images_per_second = epoch_rate();
    const double left = static_cast<double>(total_steps_ - static_cast<int64_t>(state_.step));
    progress.seconds_left = left * run_seconds_ / static_cast<double>(run_steps_);
    progress.run_step = static_cast<int64_t>(state_.step);
    reporter_.step(progress);
    if (is_line_due()) reporter_.line(progress);
}

bool TrainingLoop::is_line_due() {
    if (options_.line_steps > 0)
        return static_cast<int64_t>(state_.step) % options_.line_steps == 0;
    const auto now = Clock::now();
    const double minutes = std::chrono::duration<double>(now - last_line_).count() / 60.0;
    const bool is_due = options_.line_minutes > 0 && minutes >= options_.line_minutes;
    if (is_due) last_line_ = now;
    return is_due;
}

// Saves, looks at the epoch, or at its part where the run ends within it, and completes its record.
// An epoch whose validation a signal has ended keeps a record without; whoever resumes validates
// it.
void TrainingLoop::end_epoch(bool is_whole) {
    fetch_finite();
    EpochRecord record;
    record.epoch = static_cast<int64_t>(is_whole ? state_.epoch : state_.epoch + 1);
    record.metrics = state_.sums;
    record.learning_rate = rate_;
    record.seconds = epoch_seconds_;
    record.images_per_second = epoch_rate();
    if (is_whole) {
        state_.history.push_back(record);
        state_.sums = {};
        epoch_seconds_ = 0.0;
        epoch_pictures_ = 0;
    } else {
        state_.part = record;
    }
    keeper_.save(Need::kMay);
    look_at_last();
    follow_metric();
}

// From the history alone, so that a run goes on with the rate that it had.
void TrainingLoop::follow_metric() {
    rate_factor_ = plateau_factor(schedule_, metrics_of(state_.history, schedule_.metric));
}

void TrainingLoop::look_at_last() {
    EpochRecord& record = *last_record(state_);
    if (options_.validate) record.validation = options_.validate();
    if (record.validation) keeper_.save(Need::kMay);
    weights_.save(Need::kMay);
    reporter_.epoch(record, static_cast<int64_t>(state_.step));
}

// Brings parameters and state to the session's memory, from where they are saved, validated and
// written. Those that are not finite never are.
void TrainingLoop::fetch_finite() {
    session_.fetch();
    const char* name = find_not_finite(session_.info(), session_.memory());
    if (name == nullptr) return;
    if (state_.step == 0) {
        throw RuntimeError(
            session_.info().network,
            concat("tensor ", quoted(name), " holds NaN or infinity before the first step"),
            "correct its initial values in the model");
    }
    fail_not_finite(concat("tensor ", quoted(name), " holds NaN or infinity after the update"),
                    state_.step);
}

void TrainingLoop::fail_not_finite(const std::string& what, uint64_t step) const {
    const uint64_t epoch = (step - 1) / loader_.batches() + 1;
    std::string kept = "nothing is kept without --checkpoint";
    if (keeper_.is_keeping()) {
        const auto saved = keeper_.saved_step();
        kept = saved ? concat("the checkpoint of step ", *saved, " is kept")
                     : std::string("the checkpoint is as it was");
    }
    throw RuntimeError(
        concat("step ", step, " (epoch ", epoch, ")"),
        concat(what, " at learning rate ", rate_, "; ", kept),
        "lower --learning-rate, or look for values in the data that are far from the others");
}

}  // namespace emulsion
