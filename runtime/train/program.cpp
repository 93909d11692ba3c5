// See program.h.
#include "runtime/train/program.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include "runtime/program/format.h"
#include "runtime/support/atomic_file.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"
#include "runtime/train/best.h"
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

// What the console shows, and the logs in the folder of the run.
std::unique_ptr<Reporter> make_reporter(const TrainOptions& options, Console& console) {
    auto shown = options.json ? make_json_reporter(console) : make_text_reporter(console);
    if (options.checkpoint.empty()) return shown;
    std::vector<std::unique_ptr<Reporter>> reporters;
    reporters.push_back(std::move(shown));
    reporters.push_back(make_log_reporter(options.checkpoint, console));
    return join_reporters(std::move(reporters));
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
      reporter_(make_reporter(options, console_)),
      profile_(*train.info()),
      session_(train, options.threads, options.device),
      keeper_(options.checkpoint, session_, state_, *reporter_, console_),
      weights_(options.checkpoint, weights_file(), session_, *infer.info(), state_, console_) {}

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
    check_numbers();
    load_data();
    check_length();
    begin_weights();
    OutputPaths paths = outputs();
    if (options_.dry_run) {
        // The trials would be in the way of the trainer that holds the folder.
        if (!paths.folder.empty() && is_held(paths.folder)) return;
        // A dry run does not make the folder.
        if (!is_folder(paths.folder)) {
            paths.best.clear();
            if (options_.weights.empty()) paths.weights.clear();
        }
    }
    paths.data = files_of_run_data(state_.settings);
    if (!paths.weights.empty()) {
        paths.weights_bytes =
            weights_file_bytes(session_.info(), *infer_.info(), trained_for_longest(state_));
    }
    paths.checkpoint_bytes =
        checkpoint_file_bytes(session_.info(), session_.sizes(), to_position(state_),
                              average_ ? average_->parts() : Blocks{});
    check_outputs(paths);
}

// Settings of a new run, or the state of the checkpoint.
void TrainProgram::begin_state() {
    const std::string& folder = options_.checkpoint;
    if (options_.resume == Resume::kYes && !has_checkpoint(folder)) {
        throw RuntimeError(one_line(folder), "holds no checkpoint",
                           "leave out --resume to begin a run there");
    }
    // What is there is looked at once nobody else can change it.
    const bool is_auto = options_.resume == Resume::kAuto;
    if (is_auto && !options_.dry_run) folder_.emplace(folder);
    resumes_ = options_.resume == Resume::kYes || (is_auto && has_checkpoint(folder));
    if (resumes_) {
        if (!folder_ && !options_.dry_run) folder_.emplace(folder);
        const auto average_of = [this](const RunPosition& position) {
            begin_average(from_position(position, checkpoint_file()).settings.ema);
            return average_ ? average_->parts() : Blocks{};
        };
        state_ = from_position(load_checkpoint(folder, session_.info(), session_.sizes(),
                                               session_.memory(), average_of),
                               checkpoint_file());
        check_batch(state_, session_.info(), largest_batch(train_, options_.device),
                    checkpoint_file());
        check_parts(options_, state_.settings, session_.info());
        return;
    }
    if (options_.data.empty() && options_.images.empty()) refuse_missing_data(options_);
    state_.settings = new_settings(options_, session_.info(), network_);
    check_parts(options_, state_.settings, session_.info());
    choose_best();
    begin_average(state_.settings.ema);
    if (folder.empty()) return;
    if (!folder_ && !options_.dry_run) folder_.emplace(folder);
    if (options_.overwrite) return;
    if (has_checkpoint(folder)) {
        throw RuntimeError(one_line(folder), "holds the checkpoint of another run",
                           "continue it with --resume, or begin anew with --overwrite");
    }
    if (!weights_files_in(folder).empty()) {
        throw RuntimeError(one_line(folder), "holds the weights of another run",
                           "choose another folder, or begin anew with --overwrite");
    }
}

// By what an epoch of a new run is the best, where it is looked at and there is a place to keep it.
void TrainProgram::choose_best() {
    RunSettings& settings = state_.settings;
    if (settings.validation.empty()) {
        const char* option = options_.best ? "--best" : options_.patience ? "--patience" : nullptr;
        if (option == nullptr) return;
        throw UsageError(option, "needs a validation after every epoch",
                         "add --validation, such as --validation 0.1");
    }
    if (options_.checkpoint.empty()) return;
    const bool has_loss = find_score_output(*infer_.info()).kind == ScoreKind::kProbabilities;
    if (settings.best.empty()) settings.best = has_loss ? "loss" : "accuracy";
    if (settings.best != "loss" || has_loss) return;
    throw UsageError("--best",
                     "is loss, but the network gives no probabilities, so that its validation has "
                     "none",
                     "choose accuracy, or leave the option out");
}

// On a device the weights of every step would have to come back.
void TrainProgram::begin_average(double decay) {
    if (decay == 0.0) return;
    if (!options_.device.is_processor()) {
        throw UsageError(
            resumes_ ? "--device" : "--ema",
            concat("the averaged weights are kept on the processor, but the run is on ",
                   options_.device.option),
            "add --device cpu");
    }
    average_.emplace(decay, session_.info(), *infer_.info(), session_.sizes(), session_.memory());
    weights_.take_from(average_->memory());
    keeper_.keep_more(average_->parts());
}

namespace {

// What the state has for an option, by name.
struct StateNumber {
    const char *option, *name;
    std::optional<double> value;
};

std::array<StateNumber, 2> numbers_of(std::optional<double> momentum,
                                      std::optional<double> weight_decay) {
    return {{{"--momentum", "optimizer.momentum", momentum},
             {"--weight-decay", "optimizer.weight_decay", weight_decay}}};
}

}  // namespace

// Of a run that goes on, the state has them already.
void TrainProgram::check_numbers() const {
    for (const StateNumber& number : numbers_of(options_.momentum, options_.weight_decay)) {
        if (!number.value) continue;
        const float* stored = session_.state_number(number.name);
        if (stored == nullptr) {
            throw UsageError(number.option, "is compiled into this program, or of no use to it",
                             "leave the option out, or build the model with .adjustable = true in "
                             "the options of its optimizer");
        }
        if (!resumes_ || *stored == static_cast<float>(*number.value)) continue;
        throw UsageError(
            number.option,
            concat("is ", *number.value, ", but the run of the checkpoint has ", *stored),
            "leave the option out with --resume, or begin a new run in another folder");
    }
}

// Parameters and state of a new run.
void TrainProgram::begin_parameters() {
    const RunSettings& settings = state_.settings;
    if (!initial_) session_.initialize(settings.seed);
    for (const StateNumber& number : numbers_of(settings.momentum, settings.weight_decay)) {
        if (number.value) *session_.state_number(number.name) = static_cast<float>(*number.value);
    }
}

void TrainProgram::load_data() {
    const RunSettings stored = state_.settings;
    if (resumes_) state_.settings = resumed_settings(stored, options_);
    only_picture_input(*infer_.info());  // validation, weights and test would find it out last
    DataRequest request;
    request.shape = session_.shape();
    request.classes = std::min(find_score_output(*infer_.info()).classes, session_.label_classes());
    if (infer_.info()->class_count == request.classes)
        request.class_names = class_names(*infer_.info());
    data_ = open_run_data(state_.settings, request);
    const DataFacts facts = facts_of(data_, request);
    if (resumes_) {
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
    if (!resumes_) return;
    check_place(state_, loader_->batches(), checkpoint_file());
    check_heads(state_, session_.heads(), checkpoint_file());
    stored_steps_ = stored.total_steps(loader_->batches());
}

// A file that does not fit is found out here.
void TrainProgram::begin_weights() {
    if (resumes_ || options_.init.empty()) return;
    session_.initialize(state_.settings.seed);
    initial_ = load_initial_weights(ByteSource(options_.init, "weights file"), session_.info(),
                                    session_.memory(), *infer_.info());
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

// Empty where none are to be kept.
std::string TrainProgram::weights_file() const {
    const bool is_given = !options_.weights.empty() || options_.checkpoint.empty();
    return is_given ? options_.weights : join_path(options_.checkpoint, kWeightsName);
}

OutputPaths TrainProgram::outputs() const {
    OutputPaths paths;
    paths.folder = options_.checkpoint;
    paths.weights = weights_file();
    if (!state_.settings.best.empty()) paths.best = weights_.best_path();
    if (options_.profile != kPrintProfile) paths.profile = options_.profile;
    paths.trace = options_.trace;
    paths.rate_test = options_.rate_test;
    paths.init = options_.init;
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
    facts.class_names = class_names(session_.info());
    if (facts.class_names.empty()) facts.class_names = state_.data_facts.classes;
    facts.resumed = resumes_ ? &state_ : nullptr;
    facts.command = &options_.command;
    return facts;
}

// Range test

void TrainProgram::test_rates() {
    begin_parameters();
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
    if (weights_file().empty())
        console_.note(
            "note: nothing is kept; add --checkpoint FOLDER to keep the trained weights\n");
    if (resumes_) {
        say_resumed();
    } else {
        if (initial_) reporter_->init(options_.init, *initial_);
        begin_parameters();
    }
    if (measures_kernels()) {
        profile_.start(session_.info().batch, state_.settings.batch, kProfileWarmUp);
    }
    session_.bind(options_.variant, measures_kernels() ? &profile_ : nullptr);
    // The weights of another run never stand beside the checkpoint of this one.
    if (!resumes_) keeper_.supersede(weights_files_in(options_.checkpoint));
    const LoopOptions options = loop_options();
    TrainingLoop loop(session_, *loader_, state_, keeper_, weights_, *reporter_, options);
    end_ = loop.run();
    owes_validation_ = loop.owes_validation();
    has_lost_patience_ = loop.has_lost_patience();
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
    options.line_steps = options_.line_steps;
    options.line_minutes = options_.line_minutes;
    if (average_) options.after_step = [this] { average_->update(state_.step); };
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
    copy_tensors(session_.info(), weights_.memory(), inference_->info(), inference_->memory());
    inference_->prepare();
    const RunSettings& settings = state_.settings;
    std::optional<TopCount> top;
    std::optional<Confusion> confusion;
    if (settings.top > 0) top = TopCount{settings.top, 0.0};
    if (settings.confusion) confusion.emplace(inference_->classes());
    const auto count = [&](uint32_t index, std::span<const float> scores) {
        if (index >= source.labels.size()) return;
        const int32_t label = source.labels[index];
        if (top && is_among_best(scores, label, top->classes)) top->correct++;
        if (!confusion) return;
        std::optional<int> found;
        if (has_finite_scores(scores))
            found =
                static_cast<int>(std::max_element(scores.begin(), scores.end()) - scores.begin());
        confusion->add(label, found);
    };
    Evaluation result =
        evaluate(*inference_, source, subset,
                 {.visit = count, .stop = is_stopped, .readers = options_.reading.readers});
    result.top = top;
    result.confusion = std::move(confusion);
    if (is_stopped()) return std::nullopt;
    return result;
}

// Conclude

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
    if (result) reporter_->test(*result, result_step_);
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
