// The inference program: what NET-infer's main calls. Options, the mode they ask for, errors to
// exit codes.
#include <algorithm>
#include <cctype>
#include <memory>
#include <utility>

#include "runtime/abi/program.h"
#include "runtime/data/picture_files.h"
#include "runtime/data/split.h"
#include "runtime/data/weights.h"
#include "runtime/infer/options.h"
#include "runtime/infer/picture_names.h"
#include "runtime/infer/results.h"
#include "runtime/program/description.h"
#include "runtime/program/evaluate.h"
#include "runtime/program/format.h"
#include "runtime/support/atomic_file.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr int64_t kDefaultPictures = 10;
constexpr int kDefaultTop = 3;
constexpr double kProfileSeconds = 1.0;
constexpr size_t kNamesAtOnce = 1024;

// What the network needs of data, and the options say of them. `facts` are of the weights.
DataRequest make_request(const InferOptions& options, const emulsion_info& info,
                         const DataFacts& facts) {
    DataRequest request;
    request.shape = only_picture_input(info);
    request.axes = row_axes(info.inputs[0]);
    request.indices = index_range(info.inputs[0]);
    request.classes = find_score_output(info).classes;
    request.class_names = facts.classes;
    if (facts.classes.empty() && info.class_count == request.classes)
        request.class_names = class_names(info);
    request.may_lack_classes = true;
    request.rule = options.reading.rule;
    if (!facts.resize.empty()) request.rule = parse_rule(facts.resize);
    request.scale = facts.scale != 1.0 ? facts.scale : options.reading.scale.value_or(1.0);
    request.take = static_cast<uint64_t>(options.take.value_or(INT32_MAX));
    return request;
}

std::unique_ptr<Source> open_set(const InferOptions& options, const DataRequest& request) {
    if (options.data.empty()) return open_source({options.idx, options.labels}, request);
    return open_source(options.data, options.part.value_or(Part::test), request);
}

// "00003-ankle-boot.png": letters and digits of the class name, everything else a hyphen.
std::string picture_file_name(uint64_t index, const std::string& class_text) {
    std::string digits = concat(index);
    digits.insert(0, digits.size() < 5 ? 5 - digits.size() : 0, '0');
    std::string name;
    for (char c : class_text) {
        const auto byte = static_cast<unsigned char>(c);
        const bool is_plain = byte < 128 && std::isalnum(byte) != 0;
        if (is_plain) name += static_cast<char>(std::tolower(byte));
        if (!is_plain && !name.empty() && name.back() != '-') name += '-';
    }
    if (!name.empty() && name.back() == '-') name.pop_back();
    return concat(digits, name.empty() ? "" : "-", name, ".png");
}

void write_pictures(const InferOptions& options, const emulsion_info& info) {
    DataRequest request = make_request(options, info, {});
    if (!request.axes.empty()) {
        throw UsageError("--write-pictures", "is for networks that read pictures",
                         "leave the option out");
    }
    request.take = static_cast<uint64_t>(options.take.value_or(kDefaultPictures));
    const auto set = open_set(options, request);
    const std::vector<std::string>& names =
        set->class_names.empty() ? request.class_names : set->class_names;
    make_folder(options.write_pictures);
    for (uint64_t i = 0; i < set->count(); i++) {
        const std::string label = set->labels.empty() ? "" : class_name(names, set->labels[i]);
        const std::string path = join_path(options.write_pictures, picture_file_name(i, label));
        write_png(path, set->picture_at(i));
        print_results(path + "\n");
    }
}

// What became of the pictures.
struct Outcome {
    int64_t not_finite = 0;  // with scores that are NaN or infinite
    int64_t failed = 0;      // files that cannot be used
};

EvaluateOptions evaluate_options(const InferOptions& options, Outcome* outcome) {
    EvaluateOptions evaluation;
    evaluation.batch = options.batch.value_or(0);
    evaluation.readers = options.reading.readers;
    evaluation.fail = [outcome](uint32_t, const std::exception_ptr& error) {
        try {
            std::rethrow_exception(error);
        } catch (const RuntimeError& refusal) {
            print_error(refusal, stderr);
            outcome->failed++;
        }
    };
    return evaluation;
}

// Classifies picture files as their names come, so many at a time. A file that cannot be used is
// reported and the others go on.
Outcome classify_files(InferenceSession& session, const InferOptions& options,
                       const DataRequest& request, Results& results) {
    PictureNames names(options.pictures, options.list);
    PictureFiles files;
    files.source = "pictures";
    files.shape = session.shape();
    files.rule = request.rule.value_or(PictureRule{});
    Outcome outcome;
    EvaluateOptions evaluation = evaluate_options(options, &outcome);
    evaluation.visit = [&](uint32_t index, std::span<const float> scores) {
        outcome.not_finite += has_finite_scores(scores) ? 0 : 1;
        results.picture(files.paths[index], scores, std::nullopt);
    };
    while (true) {
        files.paths = names.next(kNamesAtOnce);
        if (files.paths.empty()) break;
        evaluate(session, files, whole_set(files.paths.size()), evaluation);
    }
    results.end_of_pictures();
    return outcome;
}

Outcome classify_set(InferenceSession& session, const InferOptions& options,
                     const DataRequest& request, Results& results) {
    const auto set = open_set(options, request);
    if (!set->note.empty()) print_talk(set->note + "\n");
    const bool has_labels = !set->labels.empty();
    const bool prints_rows = options.take || options.csv || !has_labels;
    Outcome outcome;
    EvaluateOptions evaluation = evaluate_options(options, &outcome);
    evaluation.visit = [&](uint32_t index, std::span<const float> scores) {
        outcome.not_finite += has_finite_scores(scores) ? 0 : 1;
        if (!prints_rows) return;
        std::optional<int> label;
        if (has_labels) label = set->labels[index];
        results.picture(set->name_of(index), scores, label);
    };
    const Evaluation result = evaluate(session, *set, whole_set(set->count()), evaluation);
    results.end_of_pictures();
    if (has_labels) results.accuracy(result);
    return outcome;
}

// What the weights say of the data is what the program does; another wish is refused.
void check_facts(const InferOptions& options, const DataFacts& facts,
                 const InferenceSession& session) {
    const auto refuse = [&](const char* option, const std::string& given, const std::string& own) {
        throw UsageError(option, concat("is ", given, ", but the weights were trained with ", own),
                         "leave the option out");
    };
    const std::optional<PictureRule>& rule = options.reading.rule;
    if (rule && !facts.resize.empty() && to_text(*rule) != facts.resize)
        refuse("--resize", to_text(*rule), facts.resize);
    const double scale = options.reading.scale.value_or(facts.scale);
    if (facts.scale != 1.0 && scale != facts.scale)
        refuse("--scale", concat(scale), concat(facts.scale));
    const size_t names = facts.classes.size();
    if (names == 0 || names == static_cast<size_t>(session.classes())) return;
    throw RuntimeError(
        one_line(options.weights),
        concat("the weights name ", names, " classes, but the network has ", session.classes()),
        "give the weights that training this network wrote");
}

std::unique_ptr<Results> make_results(const InferOptions& options, const emulsion_info& info,
                                      std::vector<std::string> classes) {
    const ResultsOptions shown{std::move(classes), options.top.value_or(kDefaultTop)};
    if (options.json) return make_json_results(info, shown);
    return options.csv ? make_csv_results(info, shown) : make_text_results(info, shown);
}

int classify(InferenceSession& session, const InferOptions& options) {
    if (index_range(session.info().inputs[0]).limit > 0 && !options.has_set()) {
        throw UsageError("pictures", "are no input of a network that reads indices",
                         "give rows of indices: --images FILE.npy, or --data FILE.csv");
    }
    if (!row_axes(session.info().inputs[0]).empty() && !options.has_set()) {
        throw UsageError("pictures", "are no input of a network that reads rows of numbers",
                         "give rows of numbers: --images FILE.npy, or --data FILE.csv");
    }
    const DataFacts facts =
        load_weights(options.weights, session.info(), session.memory(), session.info());
    check_facts(options, facts, session);
    session.prepare();
    DataRequest request = make_request(options, session.info(), facts);
    // Pictures of another size than the network's are what the weights, or the options, say.
    if (!request.rule) request.rule = PictureRule{};
    const auto results =
        make_results(options, session.info(),
                     facts.classes.empty() ? class_names(session.info()) : facts.classes);
    const Outcome outcome = options.has_set() ? classify_set(session, options, request, *results)
                                              : classify_files(session, options, request, *results);
    if (outcome.not_finite > 0) {
        throw RuntimeError(
            options.weights,
            concat("the scores of ", outcome.not_finite, " pictures are NaN or infinite"),
            "train again with a lower learning rate");
    }
    return outcome.failed > 0 ? kExitFailed : kExitDone;
}

// The file for the times of --profile, or empty: they are printed.
std::string profile_file(const InferOptions& options) {
    return options.profile == kPrintProfile ? "" : options.profile;
}

void check_pair(const char* option, const std::string& file, const char* what,
                const std::string& other) {
    if (file.empty() || other.empty() || !do_collide(file, other)) return;
    throw RuntimeError(concat(option, " ", one_line(file)), concat("is the place of ", what),
                       concat("choose another one for ", option));
}

// What cannot be written is found out first, and what is read is never replaced.
void check_files(const std::string& profile, const InferOptions& options) {
    check_pair("--profile", profile, "the weights", options.weights);
    check_pair("--trace", options.trace, "the weights", options.weights);
    check_pair("--trace", options.trace, "the profile", profile);
    for (const std::string& file : {profile, options.trace}) {
        if (!file.empty()) const AtomicFile probe(file);
    }
}

// The calls of --profile and --trace.
void measure_kernels(InferenceSession& session, const InferOptions& options,
                     std::span<const int> batches, SpeedQuery speed, KernelProfile* profile,
                     Results& results) {
    const auto calls = run_profile(session, batches, profile, kProfileSeconds);
    const ProfileFacts facts{&session.info(), "inference",
                             chosen_variant(session.info(), options.variant, options.device),
                             options.threads, options.device};
    if (options.has_trace()) {
        write_trace(options.trace, facts, profile->trace());
        print_talk(trace_written_text(options.trace, profile->trace().size()));
    }
    if (!options.has_profile()) return;
    const std::string file = profile_file(options);
    if (file.empty()) {
        for (const CallProfile& call : calls) results.profile(call);
        return;
    }
    print_talk(write_profile(file, facts, calls, speed));
}

void measure(const emulsion_infer_library& library, const InferOptions& options,
             const char* description, Results& results) {
    check_files(profile_file(options), options);
    const NetworkDescription network = parse_description(description);
    SessionOptions bound{options.threads, options.variant, options.device, options.stays_awake};
    KernelProfile profile(*library.info());
    const bool measures_kernels = options.has_profile() || options.has_trace();
    if (measures_kernels) bound.profile = &KernelProfile::record, bound.profile_self = &profile;
    InferenceSession session(library, bound);
    if (options.weights.empty()) {
        fill_parameters(session);
    } else {
        load_weights(options.weights, session.info(), session.memory(), session.info());
    }
    session.prepare();
    if (options.benchmark)
        results.benchmark(run_benchmark(session, network.infer_batches), options.threads,
                          options.device);
    if (measures_kernels)
        measure_kernels(session, options, network.infer_batches, library.speed, &profile, results);
}

int run_infer(int argc, const char* const* argv, const emulsion_infer_library& library,
              const char* description) {
    InferOptions options;
    if (parse_infer_options(argc, argv, library, &options) == CommandLineResult::kShown) {
        return kExitDone;
    }
    if (!options.write_pictures.empty()) {
        write_pictures(options, *library.info());
        return kExitDone;
    }
    if (options.measures()) {
        const auto results = make_results(options, *library.info(), class_names(*library.info()));
        measure(library, options, description, *results);
        return kExitDone;
    }
    InferenceSession session(library, {options.threads, options.variant, options.device});
    return classify(session, options);
}

}  // namespace

}  // namespace emulsion

int emulsion_infer_main(int argc, char** argv, const emulsion_infer_library* infer,
                        const char* description) {
    return emulsion::guard_main(
        [&] { return emulsion::run_infer(argc, argv, *infer, description); });
}
