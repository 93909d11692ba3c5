// The last phase of a run; see program.h.
#include <utility>

#include "runtime/program/format.h"
#include "runtime/support/text.h"
#include "runtime/train/best.h"
#include "runtime/train/interrupt.h"
#include "runtime/train/program.h"

namespace emulsion {

namespace {

constexpr int kMistakeSide = 96;  // pixels, of a picture in a report

}  // namespace

void TrainProgram::conclude() {
    if (!end_) return;
    attempt([this] { keeper_.save(CheckpointKeeper::Need::kMust); });
    attempt([this] { weights_.save(CheckpointKeeper::Need::kMust); });
    if (end_ == LoopEnd::kComplete) {
        session_.release_workspace();
        attempt([this] { write_weights(); });
    }
    attempt([this] { report_measured(); });
    if (end_ == LoopEnd::kComplete) attempt([this] { test(); });
    attempt([this] { report_mistakes(); });
    attempt([this] { reporter_->end(); });
    if (end_ == LoopEnd::kInterrupted) say_stopped();
    if (end_ == LoopEnd::kComplete && is_stopped()) say_skipped();
}

// The weights of the best epoch are the result of a run with patience. Returns that epoch, or null
// where the last weights are the result.
const EpochRecord* TrainProgram::restore_best() {
    const RunSettings& settings = state_.settings;
    if (settings.patience == 0) return nullptr;
    const EpochRecord* best = find_best(state_.history, settings.best);
    if (best == nullptr) return nullptr;
    weights_.restore_best(trained_for(state_, *best, loader_->batches()));
    const double value = metric_value(*best, settings.best).value_or(0.0);
    const std::string end = has_lost_patience_ ? concat("ended early: no better epoch in the last ",
                                                        settings.patience, "\n")
                                               : "";
    console_.note(concat(end, "the weights are those of epoch ", best->epoch,
                         ", the best by its validation ", settings.best, ", ", fixed(value, 4),
                         "\n"));
    return best;
}

void TrainProgram::write_weights() {
    const EpochRecord* best = nullptr;
    attempt([&] { best = restore_best(); });
    const TrainedFor trained =
        best ? trained_for(state_, *best, loader_->batches()) : trained_for(state_);
    result_step_ = static_cast<int64_t>(trained.step);
    const std::string path = weights_.write_last(trained);
    if (!path.empty()) reporter_->weights(path, result_step_);
}

void TrainProgram::report_measured() {
    if (!measures_kernels()) return;
    const CallProfile call = profile_.result();
    if (call.calls == 0) {
        console_.note(concat("note: ", has_profile() ? "--profile" : "--trace",
                             ": the run had no step of ", call.samples,
                             " pictures after the first ", call.warm_up,
                             ", so nothing was measured\n"));
        return;
    }
    KernelTimes times{call.samples, call.seconds, {}};
    for (const KernelTime& time : call.kernels)
        times.kernels.emplace_back(session_.info().kernels[time.kernel], time.seconds);
    reporter_->measured(times, static_cast<int64_t>(state_.step));
    if (has_trace()) {
        attempt([&] {
            write_trace(options_.trace, profile_facts(), profile_.trace());
            console_.note(trace_written_text(options_.trace, profile_.trace().size()));
        });
    }
    if (has_profile()) report_profile(call);
}

ProfileFacts TrainProgram::profile_facts() const {
    const Device& device = options_.device;
    const std::string variant = chosen_variant(session_.info(), options_.variant, device);
    return {&session_.info(), "training", variant, options_.threads, device};
}

void TrainProgram::report_profile(const CallProfile& call) {
    const std::string path = outputs().profile;
    if (path.empty()) return reporter_->profile(call, session_.info());
    console_.note(write_profile(path, profile_facts(), {&call, 1}, train_.speed));
}

// The test part is looked at once, at the end, and nothing is chosen by it.
void TrainProgram::test() {
    if (!data_.has_test()) return;
    const auto result = evaluate_now(*data_.test, whole_set(data_.test->count()));
    owes_test_ = !result;
    if (result) reporter_->test(*result, result_step_);
}

void TrainProgram::report_mistakes() {
    if (!mistakes_ || mistaken_ == nullptr || is_stopped()) return;
    const std::vector<ShownMistake> shown =
        show_mistakes(*mistaken_, mistakes_->worst(), kMistakeSide);
    const bool is_result = end_ == LoopEnd::kComplete;
    if (!shown.empty())
        reporter_->mistakes(shown, is_result ? result_step_ : static_cast<int64_t>(state_.step));
}

void TrainProgram::say_stopped() {
    std::string kept = "nothing is kept without --checkpoint";
    if (keeper_.is_keeping()) {
        kept = keeper_.saved_step() == state_.step
                   ? "the checkpoint is saved, --resume goes on from it"
                   : concat("the checkpoint of step ", *keeper_.saved_step(),
                            " is kept, --resume goes on from it");
    }
    console_.note(concat("stopped by a signal after step ", state_.step, "; ", kept, "\n"));
}

// All steps are trained; what is left out can be had later.
void TrainProgram::say_skipped() {
    std::string skipped = owes_validation_ ? "the validation" : "";
    if (owes_test_) skipped += concat(skipped.empty() ? "" : " and ", "the test");
    if (skipped.empty()) {
        console_.note("stopped by a signal at the end of the run, which is complete\n");
        return;
    }
    const std::string weights = weights_file();
    std::string remedy = "nothing is kept to make up for it";
    if (keeper_.is_keeping()) {
        remedy = "--resume makes up for it";
    } else if (owes_test_ && !weights.empty()) {
        remedy = concat(session_.info().network, "-infer --weights ", one_line(weights), " --data ",
                        one_line(state_.settings.data), " does the test");
    }
    console_.note(
        concat("stopped by a signal after the last step; skipped: ", skipped, "; ", remedy, "\n"));
}

}  // namespace emulsion
