// The trainer program: what NET-train's main calls. It puts the parts together in this order:
// options, memory (reserved, not touched), checkpoint, data, settings; after a dry run's end: bind,
// loop, weights, test.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "runtime/abi/program.h"
#include "runtime/data/split.h"
#include "runtime/data/weights.h"
#include "runtime/program/format.h"
#include "runtime/support/text.h"
#include "runtime/train/interrupt.h"
#include "runtime/train/loop.h"
#include "runtime/train/report.h"

namespace emulsion {

namespace {

constexpr int kProfileWarmUp = 1;  // steps

// Everything a run reads: the parts of the data set and the indices of each purpose.
struct RunData {
    Dataset train, test;  // `test` is empty where the set has no such part
    Split split;          // of `train`

    bool has_test() const { return test.count() > 0; }
};

// The test part is optional: it is loaded where its files are there, and then it must be whole.
Dataset open_test(const std::string& data, const PictureShape& shape, int classes) {
    try {
        find_idx_files(find_data_folder(data), Part::test);
    } catch (const RuntimeError&) {
        return {};
    }
    return open_dataset(data, Part::test, shape, classes);
}

RunData open_data(const RunSettings& settings, const PictureShape& shape, int classes) {
    RunData data;
    data.train = open_dataset(settings.data, Part::train, shape, classes);
    data.test = open_test(settings.data, shape, classes);
    const bool holds_out = !settings.validation.empty() && settings.validation != "test";
    if (settings.validation == "test" && !data.has_test()) {
        throw RuntimeError("--validation", concat(quoted(settings.data), " has no test part"),
                           "give a fraction of the training part, such as --validation 0.1");
    }
    if (!holds_out) {
        data.split.train = whole_set(data.train.count());
        return data;
    }
    data.split = split_by_class(data.train.labels, classes,
                                parse_fraction(settings.validation, "--validation"), settings.seed);
    if (data.split.validation.empty() || data.split.train.empty()) {
        throw RuntimeError("--validation",
                           concat(settings.validation, " of ", data.train.count(),
                                  " pictures leaves ", data.split.train.size(), " to train on and ",
                                  data.split.validation.size(), " to validate with"),
                           "choose a fraction between 0 and 1 that leaves pictures for both");
    }
    return data;
}

// Both libraries must be of one build of one network.
void check_libraries(const emulsion_info& train, const emulsion_info& infer) {
    const bool are_equal = std::string_view(train.signature) == infer.signature;
    if (are_equal && train.abi_version == EMULSION_ABI_VERSION) return;
    throw RuntimeError(
        train.network,
        concat("training library ", train.signature, " (interface ", train.abi_version,
               "), inference library ", infer.signature, " (interface ", infer.abi_version,
               "), program interface ", EMULSION_ABI_VERSION),
        "link the libraries and the program of one build");
}

// One run of the program.
class TrainProgram {
  public:
    TrainProgram(const emulsion_train_library& train, const emulsion_infer_library& infer,
                 const NetworkDescription& network, const TrainOptions& options)
        : infer_(infer),
          network_(network),
          options_(options),
          profile_(*train.info()),
          session_(train, options.threads) {}

    int run();

  private:
    void begin_state();
    void load_data();
    RunFacts facts() const;
    void say(const std::string& text) const {
        if (!options_.quiet) print_talk(text);
    }
    std::string weights_path() const;
    void check_paths() const;
    std::optional<Evaluation> evaluate_now(const Dataset& dataset,
                                           std::span<const uint32_t> subset);
    LoopOptions loop_options();
    int finish(LoopEnd end);
    void write_weights();
    bool writes_profile() const {
        return !options_.profile.empty() && options_.profile != kPrintProfile;
    }
    void report_profile();
    void test();

    const emulsion_infer_library& infer_;
    const NetworkDescription& network_;
    const TrainOptions& options_;
    KernelProfile profile_;
    TrainingSession session_;
    RunState state_;
    RunData data_;
    std::unique_ptr<Loader> loader_;
    std::unique_ptr<InferenceSession> inference_;  // made at the first evaluation
};

// Settings of a new run, or the state of the checkpoint.
void TrainProgram::begin_state() {
    const std::string& folder = options_.checkpoint;
    const bool exists = !folder.empty() && has_checkpoint(folder);
    if (options_.resume) {
        if (!exists) {
            throw RuntimeError(folder, "holds no checkpoint",
                               "leave out --resume to begin a run there");
        }
        state_ = from_position(
            load_checkpoint(folder, session_.info(), session_.sizes(), session_.memory()));
        state_.settings = resumed_settings(state_.settings, options_);
        return;
    }
    if (exists && !options_.overwrite && !options_.dry_run) {
        throw RuntimeError(folder, "holds the checkpoint of another run",
                           "continue it with --resume, or begin anew with --overwrite");
    }
    state_.settings = new_settings(options_, session_.info(), network_);
}

void TrainProgram::load_data() {
    const int classes = find_score_output(*infer_.info()).classes;
    data_ = open_data(state_.settings, session_.shape(), classes);
    if (options_.resume) {
        check_same_data(state_, data_.train);
    } else {
        state_.data_samples = data_.train.count();
        state_.data_checksum = checksum_of(data_.train);
    }
    const Normalizer normalizer(session_.shape().channels, session_.info());
    LoaderOptions loading;
    loading.batch = state_.settings.batch;
    loading.seed = state_.settings.seed;
    loader_ = std::make_unique<Loader>(data_.train, data_.split.train, normalizer, loading);
}

RunFacts TrainProgram::facts() const {
    RunFacts facts{&session_.info(), &network_, &state_.settings, &session_.sizes()};
    facts.train_pictures = data_.split.train.size();
    facts.validation_pictures = data_.split.validation.size();
    facts.test_pictures = data_.test.count();
    facts.steps_per_epoch = loader_->batches();
    facts.threads = options_.threads;
    facts.variant = options_.variant;
    return facts;
}

std::string TrainProgram::weights_path() const {
    if (!options_.weights.empty() || options_.checkpoint.empty()) return options_.weights;
    return join_path(options_.checkpoint, kWeightsName);
}

// A run must not end with results that cannot be written.
void TrainProgram::check_paths() const {
    if (options_.weights.empty() && options_.checkpoint.empty())
        say("note: nothing is kept; add --checkpoint FOLDER to keep the trained weights\n");
    const auto check = [](const std::string& path, const char* option) {
        const size_t slash = path.find_last_of('/');
        const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
        if (access(folder.c_str(), W_OK) == 0) return;
        throw RuntimeError(path, concat("cannot be written: ", std::strerror(errno)),
                           concat("make the folder, or choose another one for ", option));
    };
    if (!options_.weights.empty()) check(options_.weights, "--weights");
    if (writes_profile()) check(options_.profile, "--profile");
}

// Nothing where a signal has ended it.
std::optional<Evaluation> TrainProgram::evaluate_now(const Dataset& dataset,
                                                     std::span<const uint32_t> subset) {
    if (!inference_) {
        inference_ = std::make_unique<InferenceSession>(
            infer_, SessionOptions{options_.threads, options_.variant});
    }
    copy_tensors(session_.info(), session_.memory(), inference_->info(), inference_->memory());
    inference_->prepare();
    const auto is_stopped = [] { return InterruptGuard::signal_number() != 0; };
    const Evaluation result = evaluate(*inference_, dataset, subset, nullptr, is_stopped);
    if (is_stopped()) return std::nullopt;
    return result;
}

LoopOptions TrainProgram::loop_options() {
    LoopOptions options;
    options.checkpoint = options_.checkpoint;
    options.checkpoint_minutes = options_.checkpoint_minutes;
    options.json = options_.json;
    options.quiet = options_.quiet;
    if (!options_.quiet && !options_.no_progress) options.bar = detect_terminal(stderr);
    if (state_.settings.validation == "test") {
        options.validate = [this] {
            return evaluate_now(data_.test, whole_set(data_.test.count()));
        };
    } else if (!state_.settings.validation.empty()) {
        options.validate = [this] { return evaluate_now(data_.train, data_.split.validation); };
    }
    return options;
}

int TrainProgram::run() {
    begin_state();
    load_data();
    if (options_.dry_run) {
        print_results(options_.json ? settings_json(facts())
                                    : settings_text(facts(), /*has_rates=*/true));
        return kExitDone;
    }
    if (options_.json) print_results(settings_json(facts()));
    say(settings_text(facts(), /*has_rates=*/false));
    check_paths();
    const InterruptGuard guard;
    if (options_.resume) {
        const auto total = state_.settings.total_steps(loader_->batches());
        const bool is_complete = static_cast<int64_t>(state_.step) >= total;
        say(concat("resumed after step ", state_.step,
                   is_complete ? ": the run is complete, nothing is left to train\n" : "\n"));
    } else {
        session_.initialize(state_.settings.seed);
    }
    KernelProfile* profile = options_.profile.empty() ? nullptr : &profile_;
    if (profile != nullptr) {
        profile->start(session_.info().batch, state_.settings.batch, kProfileWarmUp);
    }
    session_.bind(options_.variant, profile);
    const LoopOptions options = loop_options();
    TrainingLoop loop(session_, *loader_, state_, options);
    return finish(loop.run());
}

int TrainProgram::finish(LoopEnd end) {
    if (end == LoopEnd::kComplete) {
        session_.release_workspace();
        write_weights();
        report_profile();
        if (data_.has_test()) test();
    } else {
        say(concat("stopped by a signal after step ", state_.step,
                   options_.checkpoint.empty()
                       ? "; nothing is kept without --checkpoint\n"
                       : "; the checkpoint is saved, --resume goes on from it\n"));
    }
    if (end != LoopEnd::kComplete) report_profile();
    const int number = InterruptGuard::signal_number();
    return number != 0 ? kExitSignal + number : kExitDone;
}

void TrainProgram::write_weights() {
    const std::string path = weights_path();
    if (path.empty()) return;
    save_weights(path, session_.info(), session_.memory(), *infer_.info(),
                 {.epoch = state_.epoch, .step = state_.step});
    print_results(options_.json ? weights_json(path) : weights_text(path));
}

void TrainProgram::report_profile() {
    if (options_.profile.empty()) return;
    const CallProfile call = profile_.result();
    if (call.calls == 0) {
        throw RuntimeError("--profile",
                           concat("the run had no step of ", call.samples,
                                  " pictures after the first ", kProfileWarmUp),
                           "train longer, or choose a --batch that the pictures fill");
    }
    if (!writes_profile()) {
        print_results(profile_text(call, session_.info(), options_.json));
        return;
    }
    const std::string variant = chosen_variant(session_.info(), options_.variant);
    write_profile(options_.profile, {&session_.info(), "training", variant, options_.threads},
                  {&call, 1});
    say(profile_written_text(options_.profile));
}

// The test part is looked at once, at the end, and nothing is chosen by it.
void TrainProgram::test() {
    const auto result = evaluate_now(data_.test, whole_set(data_.test.count()));
    if (!result) return;
    print_results(options_.json ? test_json(*result) : test_text(*result));
}

int run_train(int argc, const char* const* argv, const emulsion_train_library& train,
              const emulsion_infer_library& infer, const char* description) {
    check_libraries(*train.info(), *infer.info());
    const NetworkDescription network = parse_description(description);
    TrainOptions options;
    if (parse_train_options(argc, argv, *train.info(), network, &options) ==
        CommandLineResult::kShown) {
        return kExitDone;
    }
    return TrainProgram(train, infer, network, options).run();
}

}  // namespace

}  // namespace emulsion

int emulsion_train_main(int argc, char** argv, const emulsion_train_library* train,
                        const emulsion_infer_library* infer, const char* description) {
    return emulsion::guard_main(
        [&] { return emulsion::run_train(argc, argv, *train, *infer, description); });
}
