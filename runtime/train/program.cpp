// See program.h.
#include "runtime/train/program.h"

#include <algorithm>
#include <cstdio>

#include "runtime/data/weights.h"
#include "runtime/program/format.h"
#include "runtime/support/atomic_file.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"
#include "runtime/train/interrupt.h"
#include "runtime/train/rate_test.h"

namespace emulsion {

namespace {

constexpr int kProfileWarmUp = 1;  // steps

TerminalStyle bar_of(const TrainOptions& options) {
    return options.quiet || options.no_progress ? TerminalStyle{} : detect_terminal(stderr);
}

// Calls of two kinds, some with fewer pictures, make no profile of a step.
void check_parts(const TrainOptions& options, const RunSettings& settings,
                 const emulsion_info& info) {
    if (settings.batch <= info.batch || (options.profile.empty() && options.trace.empty())) return;
    throw UsageError(options.profile.empty() ? "--trace" : "--profile",
                     concat("measures steps of at most ", info.batch,
                            " pictures, but the run has batches of ", settings.batch),
                     "leave the option out, or give a smaller --batch");
}

bool is_stopped() { return StopSignals::of_process().arrived() != 0; }

}  // namespace

TrainProgram::TrainProgram(const emulsion_train_library& train, const emulsion_infer_library& infer,
                           const NetworkDescription& network, const TrainOptions& options)
    : train_(train),
      infer_(infer),
      network_(network),
      options_(options),
      console_(options.quiet, bar_of(options)),
      reporter_(options.json ? make_json_reporter(console_) : make_text_reporter(console_)),
      profile_(*train.info()),
      session_(train, options.threads, options.device),
      keeper_(options.checkpoint, session_, state_, console_) {}

int TrainProgram::run() {
    prepare();
    if (options_.dry_run) {
        reporter_->plan(facts());
        return exit_code();
    }
    const WatchSignals watch;
    if (!options_.rate_test.empty()) {
        attempt([this] { test_rates(); });
        return exit_code();
    }
    attempt([this] { train(); });
    conclude();
    folder_.reset();  // while signals are watched: none leaves a lock behind
    return exit_code();
}

// An error of one part must not keep the others from being done.
void TrainProgram::attempt(const std::function<void()>& action) {
    try {
        action();
    } catch (...) {
        console_.failure();
        has_failed_ = true;
    }
}

int TrainProgram::exit_code() {
    if (console_.broken()) {
        attempt([this] { throw *console_.broken(); });
    }
    if (has_failed_) return kExitFailed;
    const int number = StopSignals::of_process().arrived();
    return number != 0 ? kExitSignal + number : kExitDone;
}

// Prepare

void TrainProgram::prepare() {
    check_memory(options_.device, session_.sizes());
    begin_state();
    load_data();
    check_length();
    OutputPaths paths = outputs();
    if (options_.dry_run) {
        // The trials would be in the way of the trainer that holds the folder.
        if (!paths.folder.empty() && is_held(paths.folder)) return;
        // A dry run does not make the folder.
        if (options_.weights.empty() && !is_folder(paths.folder)) paths.weights.clear();
    }
    paths.data = files_of_run_data(state_.settings);
    if (!paths.weights.empty())
        paths.weights_bytes =
            weights_file_bytes(session_.info(), *infer_.info(), state_.data_facts);
    paths.checkpoint_bytes =
        checkpoint_file_bytes(session_.info(), session_.sizes(), to_position(state_));
    check_outputs(paths);
}

// Settings of a new run, or the state of the checkpoint.
void TrainProgram::begin_state() {
    const std::string& folder = options_.checkpoint;
    if (options_.resume) {
        if (!has_checkpoint(folder)) {
            throw RuntimeError(one_line(folder), "holds no checkpoint",
                               "leave out --resume to begin a run there");
        }
        if (!options_.dry_run) folder_.emplace(folder);
        state_ = from_position(
            load_checkpoint(folder, session_.info(), session_.sizes(), session_.memory()),
            checkpoint_file());
        check_batch(state_, session_.info(), largest_batch(train_, options_.device),
                    checkpoint_file());
        check_parts(options_, state_.settings, session_.info());
        return;
    }
    state_.settings = new_settings(options_, session_.info(), network_);
    check_parts(options_, state_.settings, session_.info());
    if (folder.empty()) return;
    if (!options_.dry_run) folder_.emplace(folder);
    if (options_.overwrite) return;
    if (has_checkpoint(folder)) {
        throw RuntimeError(one_line(folder), "holds the checkpoint of another run",
                           "continue it with --resume, or begin anew with --overwrite");
    }
    if (is_file(join_path(folder, kWeightsName))) {
        throw RuntimeError(one_line(folder), "holds the weights of another run",
                           "choose another folder, or begin anew with --overwrite");
    }
}

void TrainProgram::load_data() {
    const RunSettings stored = state_.settings;
    if (options_.resume) state_.settings = resumed_settings(stored, options_);
    only_picture_input(*infer_.info());  // validation, weights and test would find it out last
    DataRequest request;
    request.shape = session_.shape();
    request.classes = std::min(find_score_output(*infer_.info()).classes, session_.label_classes());
    if (infer_.info()->class_count == request.classes)
        request.class_names = class_names(*infer_.info());
    data_ = open_run_data(state_.settings, request);
    const DataFacts facts = facts_of(data_, request);
    if (options_.resume) {
        check_same_data(state_, *data_.train, facts);
    } else {
        state_.data_samples = data_.train->count();
        state_.data_checksum = data_.train->checksum();
        state_.data_facts = facts;
    }
    if (!data_.train->note.empty()) console_.note(data_.train->note + "\n");
    const Normalizer normalizer(session_.shape().channels, session_.info());
    LoaderOptions loading;
    loading.batch = state_.settings.batch;
    loading.seed = state_.settings.seed;
    loading.workers = workers_for(*data_.train, options_.reading.readers);
    loader_ = std::make_unique<Loader>(*data_.train, data_.split.train, normalizer, loading);
    if (!options_.resume) return;
    check_place(state_, loader_->batches(), checkpoint_file());
    check_heads(state_, session_.heads(), checkpoint_file());
    stored_steps_ = stored.total_steps(loader_->batches());
}

// A length below what is done cannot be had, nor one whose history no checkpoint would hold.
void TrainProgram::check_length() {
    const auto batches = static_cast<int64_t>(loader_->batches());
    const int64_t epochs = (total_steps() + batches - 1) / batches;
    if (epochs > kMostEpochs) {
        throw UsageError("--steps",
                         concat(total_steps(), " steps of ", batches, " an epoch are ", epochs,
                                " epochs; a run has at most ", kMostEpochs),
                         concat("give at most ", kMostEpochs * batches));
    }
    const auto done = static_cast<int64_t>(state_.step);
    if (total_steps() >= done) return;
    const char* option = options_.steps ? "--steps" : "--epochs";
    const int64_t given = options_.steps ? *options_.steps : options_.epochs.value_or(0);
    throw UsageError(option,
                     concat("is ", given, ", which is ", total_steps(),
                            " steps in all, but the run of the checkpoint has done ", done),
                     "give more, or leave the option out");
}

std::string TrainProgram::checkpoint_file() const {
    return join_path(options_.checkpoint, kCheckpointName);
}

OutputPaths TrainProgram::outputs() const {
    OutputPaths paths;
    paths.folder = options_.checkpoint;
    paths.weights = options_.weights;
    if (paths.weights.empty() && !paths.folder.empty())
        paths.weights = join_path(paths.folder, kWeightsName);
    if (options_.profile != kPrintProfile) paths.profile = options_.profile;
    paths.trace = options_.trace;
    paths.rate_test = options_.rate_test;
    return paths;
}

RunFacts TrainProgram::facts() const {
    RunFacts facts{&session_.info(), &network_, &state_.settings, &session_.sizes()};
    facts.train_pictures = data_.split.train.size();
    facts.validation_pictures =
        data_.validation ? data_.validation->count() : data_.split.validation.size();
    facts.holds_out = !data_.split.validation.empty();
    facts.test_pictures = data_.has_test() ? data_.test->count() : 0;
    facts.steps_per_epoch = loader_->batches();
    facts.threads = options_.threads;
    facts.variant = options_.variant;
    facts.device = &options_.device;
    return facts;
}

// Range test

void TrainProgram::test_rates() {
    session_.initialize(state_.settings.seed);
    session_.bind(options_.variant);
    const std::vector<RatePoint> points = run_rate_test(
        session_, *loader_, state_.settings.schedule.base, options_.steps.value_or(kRateTestSteps));
    write_file(options_.rate_test, rate_test_csv(points));
    console_.results(options_.json ? rate_test_json(points) : rate_test_text(points));
    console_.note(concat("losses written to ", one_line(options_.rate_test), "\n"));
}

// Train

void TrainProgram::train() {
    reporter_->settings(facts());
    if (outputs().weights.empty())
        console_.note(
            "note: nothing is kept; add --checkpoint FOLDER to keep the trained weights\n");
    if (options_.resume) {
        say_resumed();
    } else {
        session_.initialize(state_.settings.seed);
    }
    if (measures_kernels()) {
        profile_.start(session_.info().batch, state_.settings.batch, kProfileWarmUp);
    }
    session_.bind(options_.variant, measures_kernels() ? &profile_ : nullptr);
    // The weights of another run never stand beside the checkpoint of this one.
    if (!options_.resume) keeper_.supersede(join_path(options_.checkpoint, kWeightsName));
    const LoopOptions options = loop_options();
    TrainingLoop loop(session_, *loader_, state_, keeper_, *reporter_, options);
    end_ = loop.run();
    owes_validation_ = loop.owes_validation();
}

// Another length is another cosine, or line: the rate does not go on where it was.
void TrainProgram::say_resumed() {
    const auto done = static_cast<int64_t>(state_.step);
    console_.note(
        concat("resumed after step ", done,
               done >= total_steps() ? ": the run is complete, nothing is left to train\n" : "\n"));
    const Schedule schedule = state_.settings.rates(loader_->batches());
    const bool has_new_rates = spans_run(schedule.kind) && done > 0 && done < total_steps() &&
                               total_steps() != stored_steps_;
    if (!has_new_rates) return;
    console_.note(concat(
        "note: the run now has ", total_steps(), " steps instead of ", stored_steps_, ", and the ",
        schedule_name(schedule.kind), " schedule spans all of them: the rate goes from ",
        learning_rate(schedule, done - 1, stored_steps_), " in step ", done, " to ",
        learning_rate(schedule, done, total_steps()), " in step ", done + 1, "\n"));
}

LoopOptions TrainProgram::loop_options() {
    LoopOptions options;
    options.checkpoint_minutes = options_.checkpoint_minutes.value_or(options.checkpoint_minutes);
    const std::string& validation = state_.settings.validation;
    if (validation.empty()) return options;
    make_inference();  // what the system refuses is found out before the first step
    // One that fails is reported, and training goes on.
    options.validate = [this, is_test = validation == "test"] {
        std::optional<Evaluation> result;
        attempt([&] {
            result = is_test ? evaluate_now(*data_.test, whole_set(data_.test->count()))
                             : evaluate_now(data_.validated(), data_.validated_subset());
        });
        return result;
    };
    return options;
}

void TrainProgram::make_inference() {
    if (inference_) return;
    const bool has_device = has_variant(*infer_.info(), options_.device.interface);
    inference_ = std::make_unique<InferenceSession>(
        infer_, SessionOptions{options_.threads, options_.variant,
                               has_device ? options_.device : Device{}});
}

// Nothing where a signal has ended it.
std::optional<Evaluation> TrainProgram::evaluate_now(const Source& source,
                                                     std::span<const uint32_t> subset) {
    make_inference();
    copy_tensors(session_.info(), session_.memory(), inference_->info(), inference_->memory());
    inference_->prepare();
    const Evaluation result = evaluate(*inference_, source, subset,
                                       {.stop = is_stopped, .readers = options_.reading.readers});
    if (is_stopped()) return std::nullopt;
    return result;
}

// Conclude

void TrainProgram::conclude() {
    if (!end_) return;
    attempt([this] { keeper_.save(CheckpointKeeper::Need::kMust); });
    if (end_ == LoopEnd::kComplete) {
        session_.release_workspace();
        attempt([this] { write_weights(); });
    }
    attempt([this] { report_measured(); });
    if (end_ == LoopEnd::kComplete) attempt([this] { test(); });
    if (end_ == LoopEnd::kInterrupted) say_stopped();
    if (end_ == LoopEnd::kComplete && is_stopped()) say_skipped();
}

void TrainProgram::write_weights() {
    const std::string path = outputs().weights;
    if (path.empty()) return;
    save_weights(path, session_.info(), session_.memory(), *infer_.info(),
                 {.epoch = state_.epoch, .step = state_.step, .data = state_.data_facts});
    reporter_->weights(path);
}

void TrainProgram::report_measured() {
    if (!measures_kernels()) return;
    const CallProfile call = profile_.result();
    if (call.calls == 0) {
        console_.note(concat("note: ", has_profile() ? "--profile" : "--trace",
                             ": the run had no step of ", call.samples,
                             " pictures after the first ", kProfileWarmUp,
                             ", so nothing was measured\n"));
        return;
    }
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
    if (result) reporter_->test(*result);
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
    const std::string weights = outputs().weights;
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
