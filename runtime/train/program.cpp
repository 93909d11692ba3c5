// See program.h.
#include "runtime/train/program.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "runtime/program/format.h"
#include "runtime/support/atomic_file.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"
#include "runtime/train/interrupt.h"
#include "runtime/train/rate_test.h"

namespace emulsion {

namespace {

constexpr size_t kMostMistakes = 24;  // that a report shows

constexpr int kProfileWarmUp = 1;  // steps

TerminalStyle bar_of(const TrainOptions& options) {
    return options.quiet || options.no_progress ? TerminalStyle{} : detect_terminal(stderr);
}

// What the console shows, the logs in the folder of the run, and the files asked for.
std::unique_ptr<Reporter> make_reporter(const TrainOptions& options, Console& console) {
    auto shown = options.json ? make_json_reporter(console) : make_text_reporter(console);
    std::vector<std::unique_ptr<Reporter>> reporters;
    reporters.push_back(std::move(shown));
    if (!options.checkpoint.empty())
        reporters.push_back(make_log_reporter(options.checkpoint, console));
    if (!options.report.empty()) reporters.push_back(make_page_reporter(options.report));
    if (!options.tensorboard.empty())
        reporters.push_back(make_tensorboard_reporter(options.tensorboard, console));
    return join_reporters(std::move(reporters));
}

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
      session_(train, *infer.info(), options.threads, options.device),
      keeper_(options.checkpoint, session_, state_, *reporter_, console_),
      weights_(options.checkpoint, weights_file(), session_, *infer.info(), state_, console_) {}

int TrainProgram::run() {
    prepare();
    if (options_.dry_run) {
        reporter_->plan(facts());
        return exit_code();
    }
    const WatchSignals watch;
    for (const auto& [file, mode] : {std::pair{&options_.rate_test, &TrainProgram::test_rates},
                                     std::pair{&options_.preview, &TrainProgram::draw_preview},
                                     std::pair{&options_.ablation, &TrainProgram::ablate}}) {
        if (file->empty()) continue;
        attempt([this, mode] { (this->*mode)(); });
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
    facts.weights = &weights_.memory();
    return facts;
}

// Range test

void TrainProgram::test_rates() {
    begin_parameters();
    session_.bind(options_.variant);
    const std::vector<RatePoint> points = run_rate_test(
        session_, *loader_, state_.settings.schedule.base, options_.steps.value_or(kRateTestSteps));
    write_file(options_.rate_test, rate_test_csv(points));
    if (!options_.report.empty())
        write_file(options_.report, rate_test_page(session_.info().network, points));
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
    if (state_.settings.lowest_momentum) {
        const RunSettings& settings = state_.settings;
        options.before_step = [momentum = session_.state_number(kMomentum),
                               rates = settings.rates(loader_->batches()), total = total_steps(),
                               low = *settings.lowest_momentum,
                               high = *settings.highest_momentum](int64_t step) {
            *momentum = static_cast<float>(high - (high - low) * cycle_share(rates, step, total));
        };
    }
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
    SessionOptions options;
    options.threads = options_.threads;
    options.variant = options_.variant;
    if (has_device) options.device = options_.device;
    if (may_share_parameters(session_.info(), *infer_.info()))
        options.parameters = weights_.memory().block[EMULSION_PARAMETERS];
    inference_ = std::make_unique<InferenceSession>(infer_, options);
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
    if ((settings.confusion || !options_.report.empty()) && inference_->classes() > 0)
        confusion.emplace(inference_->classes());
    if (shows_mistakes()) mistakes_.emplace(kMostMistakes);
    mistaken_ = &source;
    const auto count = [&](uint32_t index, std::span<const float> scores) {
        if (index >= source.labels.size()) return;
        const int32_t label = source.labels[index];
        if (top && is_among_best(scores, label, top->classes)) top->correct++;
        if (mistakes_) mistakes_->add(index, label, scores);
        if (!confusion) return;
        std::optional<int> found;
        if (has_finite_scores(scores))
            found =
                static_cast<int>(std::max_element(scores.begin(), scores.end()) - scores.begin());
        confusion->add(label, found);
    };
    const auto count_pixel = [&](int32_t label, std::optional<int> found) {
        if (confusion) confusion->add(label, found);
    };
    Evaluation result = evaluate(*inference_, source, subset,
                                 {.visit = count,
                                  .visit_pixel = count_pixel,
                                  .stop = is_stopped,
                                  .readers = options_.reading.readers});
    result.top = top;
    if (confusion) {
        result.mean_recall = confusion->mean_recall();
        result.mean_iou = confusion->mean_iou();
    }
    result.confusion = std::move(confusion);
    if (is_stopped()) return std::nullopt;
    return result;
}

}  // namespace emulsion
