// The first phase of a run; see program.h.
#include <algorithm>
#include <array>
#include <utility>

#include "runtime/support/atomic_file.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"
#include "runtime/train/best.h"
#include "runtime/train/program.h"

namespace emulsion {

namespace {

// Calls of two kinds, some with fewer pictures, make no profile of a step.
void check_parts(const TrainOptions& options, const RunSettings& settings,
                 const emulsion_info& info) {
    if (settings.batch <= info.batch || (options.profile.empty() && options.trace.empty())) return;
    throw UsageError(options.profile.empty() ? "--trace" : "--profile",
                     concat("measures steps of at most ", info.batch,
                            " pictures, but the run has batches of ", settings.batch),
                     "leave the option out, or give a smaller --batch");
}

}  // namespace

void TrainProgram::prepare() {
    check_memory(options_.device, session_.sizes());
    check_files();
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

// Two files where the network is trained towards what the second one holds.
void TrainProgram::check_files() const {
    if (options_.images.empty() || options_.labels.empty() == !session_.has_target()) return;
    if (!session_.has_target()) {
        throw UsageError("--labels", "is of no use: the network learns from pictures alone",
                         "leave the option out");
    }
    throw UsageError("--labels", "is missing", "give both files, --images FILE --labels FILE");
}

// By what an epoch of a new run is the best, where it is looked at and there is a place to keep it.
void TrainProgram::choose_best() {
    RunSettings& settings = state_.settings;
    check_metrics();
    if (!session_.has_target() && !settings.validation.empty()) {
        throw UsageError("--validation",
                         "compares with labels or numbers, but the network is trained towards "
                         "nothing that data hold",
                         "leave the option out; the loss of each epoch is shown");
    }
    if (settings.validation.empty()) {
        const char* option = options_.best ? "--best" : options_.patience ? "--patience" : nullptr;
        if (option == nullptr) return;
        throw UsageError(option, "needs a validation after every epoch",
                         "add --validation, such as --validation 0.1");
    }
    if (options_.checkpoint.empty()) return;
    const bool has_loss = has_evaluation_loss(*infer_.info(), session_.target().kind);
    if (settings.best.empty()) settings.best = has_loss ? "loss" : "accuracy";
    if (settings.best == "top" && settings.top == 0)
        throw UsageError("--best", "is top, but nothing says of how many classes",
                         "add --top, such as --top 5");
    settings.confusion |= needs_confusion(settings.best);
    if (settings.best != "loss" || has_loss) return;
    throw UsageError("--best",
                     "is loss, but the network gives no probabilities, so that its validation has "
                     "none",
                     "choose accuracy, or leave the option out");
}

// Options that count what the network does not have are refused.
void TrainProgram::check_metrics() const {
    const RunSettings& settings = state_.settings;
    const TargetKind kind = session_.target().kind;
    if (kind == TargetKind::kLabel) return;
    const bool is_map = kind == TargetKind::kMap;
    const bool counts_classes = !settings.best.empty() && settings.best != "loss";
    const char* option = settings.top > 0                ? "--top"
                         : counts_classes && !is_map     ? "--best"
                         : settings.confusion && !is_map ? "--confusion"
                                                         : nullptr;
    if (option == nullptr) return;
    throw UsageError(option,
                     is_map ? "counts classes of pictures, but the network classifies each pixel"
                     : kind == TargetKind::kNumbers
                         ? "counts classes, but the network is trained towards numbers"
                         : "counts classes, but the network is trained towards nothing",
                     "leave the option out");
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
    return {{{"--momentum", kMomentum, momentum},
             {"--weight-decay", "optimizer.weight_decay", weight_decay}}};
}

const float* required_number(const TrainingSession& session, const char* option, const char* name) {
    if (const float* number = session.state_number(name)) return number;
    throw UsageError(option, "is compiled into this program, or of no use to it",
                     "leave the option out, or build the model with .adjustable = true in the "
                     "options of its optimizer");
}

}  // namespace

// Of a run that goes on, the state has them already.
void TrainProgram::check_numbers() const {
    if (state_.settings.lowest_momentum) {
        required_number(session_, "--cycle-momentum", kMomentum);
        if (!options_.device.is_processor()) {
            throw UsageError(
                "--cycle-momentum",
                concat("is set on the processor, but the run is on ", options_.device.option),
                "add --device cpu");
        }
    }
    for (const StateNumber& number : numbers_of(options_.momentum, options_.weight_decay)) {
        if (!number.value) continue;
        const float* stored = required_number(session_, number.option, number.name);
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

namespace {

// The kinds up to "elastic" do.
bool moves_pixels(const Augmentation& augmentation) {
    const AugmentKind* last = find_augment_kind("elastic");
    return std::ranges::any_of(augmentation.pieces, [&](const AugmentPiece& piece) {
        return find_augment_kind(piece.kind) <= last && piece.values[0] > 0;
    });
}

bool has_positions(const TargetForm& target) {
    return target.shape.height * target.shape.width > 1;
}

// Of --boxes.
void check_boxes(const TargetForm& target, const Augmentation& augmentation,
                 const RunSettings& settings) {
    const uint64_t numbers = target.elements();
    if (target.kind != TargetKind::kNumbers || has_positions(target) || numbers % 4 != 0) {
        throw UsageError("--boxes",
                         concat("is for networks that are trained towards four numbers a box, but "
                                "this one is trained towards ",
                                target.kind == TargetKind::kNumbers && !has_positions(target)
                                    ? concat(numbers)
                                    : std::string("something else")),
                         "leave the option out");
    }
    const std::optional<PictureRule> rule = parse_rule(settings.resize);
    if (rule && rule->fit != Fit::kStretch) {
        throw UsageError("--boxes", "cannot be combined with --fit crop, which boxes do not follow",
                         "leave one of the two out");
    }
    for (const AugmentPiece& piece : augmentation.pieces) {
        if (piece.kind != "elastic" || piece.values[0] == 0 || settings.augmentation.empty())
            continue;
        throw UsageError("--boxes", "do not follow the model's elastic distortion",
                         "leave elastic out of augment({...}), or add --no-augment");
    }
}

}  // namespace

void TrainProgram::load_data() {
    const RunSettings stored = state_.settings;
    if (resumes_) state_.settings = resumed_settings(stored, options_);
    if (state_.settings.boxes)
        check_boxes(session_.target(), network_.augmentation, state_.settings);
    DataRequest request;
    request.shape = session_.shape();
    request.axes = row_axes(infer_.info()->inputs[0]);
    request.indices = index_range(infer_.info()->inputs[0]);
    request.extras = session_.extras();
    request.target = session_.target();
    request.classes = std::min(classes_of(*infer_.info()), session_.label_classes());
    if (!session_.has_target()) request.classes = 1;  // all rows are alike
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
    check_augmentation();
    if (!state_.settings.augmentation.empty())
        augmenter_.emplace(network_.augmentation, session_.shape(), state_.settings.seed);
    const TargetForm& target = session_.target();
    if (augmenter_ && target.kind == TargetKind::kNumbers && !has_positions(target) &&
        !state_.settings.boxes && moves_pixels(network_.augmentation)) {
        console_.note(
            "note: the augmentation moves pixels; the numbers that are trained towards stay, "
            "unless they are --boxes\n");
    }
    const Normalizer normalizer(session_.shape().channels, session_.info());
    loader_ =
        std::make_unique<Loader>(*data_.train, data_.split.train, normalizer, loader_options());
    if (!resumes_) return;
    check_place(state_, loader_->batches(), checkpoint_file());
    check_heads(state_, session_.heads(), checkpoint_file());
    stored_steps_ = stored.total_steps(loader_->batches());
}

// The model's augmentation, and that of the run, which goes on with no other.
void TrainProgram::check_augmentation() const {
    const Augmentation& augmentation = network_.augmentation;
    const PictureShape& shape = session_.shape();
    const char* mode = options_.no_augment         ? "--no-augment"
                       : !options_.preview.empty() ? "--augment-preview"
                                                   : "--augment-ablation";
    const bool needs_one =
        options_.no_augment || !options_.preview.empty() || !options_.ablation.empty();
    if (needs_one && augmentation.empty()) {
        throw UsageError(
            mode, "is of no use: the model has no augmentation",
            "give it one with augment({...}) and build it anew, or leave the option out");
    }
    if (const auto fault = find_fault(augmentation, shape.height, shape.width))
        throw RuntimeError("network description", fault->what, fault->fix);
    const std::string own = to_text(augmentation);
    const std::string& stored = state_.settings.augmentation;
    if (stored.empty() || stored == own) return;
    throw RuntimeError(one_line(checkpoint_file()),
                       concat("its run augments pictures by ", one_line(stored),
                              ", but this program ", own.empty() ? "does not" : "by " + own),
                       "build the program with that augmentation to resume this run");
}

LoaderOptions TrainProgram::loader_options() const {
    LoaderOptions options;
    options.batch = state_.settings.batch;
    options.seed = state_.settings.seed;
    options.augmenter = augmenter_ ? &*augmenter_ : nullptr;
    options.has_boxes = state_.settings.boxes;
    options.workers =
        workers_for(*data_.train, options_.reading.readers, options.augmenter != nullptr);
    return options;
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
    paths.report = options_.report;
    paths.preview = options_.preview;
    paths.ablation = options_.ablation;
    paths.init = options_.init;
    return paths;
}

}  // namespace emulsion
