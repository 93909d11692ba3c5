// The inference program: what NET-infer's main calls. Options, the mode they ask for, errors to
// exit codes.
#include <algorithm>
#include <cctype>
#include <numeric>

#include "runtime/abi/program.h"
#include "runtime/data/normalize.h"
#include "runtime/data/weights.h"
#include "runtime/infer/options.h"
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

// A data set and whether its labels are known; without, `labels` is empty.
struct PictureSet {
    Dataset dataset;
    uint64_t count = 0;
    bool has_labels() const { return !dataset.labels.empty(); }
};

PictureSet open_set(const InferOptions& options, const PictureShape& shape, int classes,
                    uint64_t take) {
    PictureSet set;
    if (!options.data.empty()) {
        set.dataset =
            open_dataset(options.data, options.part.value_or(Part::test), shape, classes, {take});
    } else if (!options.labels.empty()) {
        set.dataset = read_idx_dataset({options.idx, options.labels}, shape, classes, {take});
    } else {
        set.dataset = read_idx_pictures(options.idx, shape, {take});
    }
    set.count = set.dataset.pixels.size() / shape.elements();
    return set;
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
    const PictureShape shape = picture_input(info.inputs[0], info.network);
    const PictureSet set = open_set(options, shape, find_score_output(info).classes,
                                    static_cast<uint64_t>(options.take.value_or(kDefaultPictures)));
    make_folder(options.write_pictures);
    for (uint64_t i = 0; i < set.count; i++) {
        const uint8_t* pixels = set.dataset.picture(i);
        const Picture picture{shape, {pixels, pixels + shape.elements()}};
        const std::string label = set.has_labels() ? class_name(info, set.dataset.labels[i]) : "";
        const std::string path = join_path(options.write_pictures, picture_file_name(i, label));
        write_png(path, picture);
        print_results(path + "\n");
    }
}

// What became of the pictures.
struct Outcome {
    int64_t not_finite = 0;  // with scores that are NaN or infinite
    int failed = 0;          // files that cannot be used
};

// Classifies picture files in groups of the batch. A file that cannot be used is reported and the
// others go on.
Outcome classify_files(InferenceSession& session, const InferOptions& options, Results& results) {
    const Normalizer normalizer(session.shape().channels, session.info());
    const uint64_t elements = session.shape().elements();
    const uint64_t pixels = elements / static_cast<uint64_t>(session.shape().channels);
    const size_t batch = static_cast<size_t>(session.batch());
    // images: [batch][H][W][C]
    const AlignedBlock block = allocate_aligned(batch * elements * sizeof(float));
    float* images = static_cast<float*>(block.get());
    std::vector<std::string> names;
    Outcome outcome;
    const auto flush = [&] {
        if (names.empty()) return;
        session.run(images, static_cast<int>(names.size()));
        for (size_t i = 0; i < names.size(); i++) {
            const auto scores = session.scores(static_cast<int>(i));
            outcome.not_finite += has_finite_scores(scores) ? 0 : 1;
            results.picture(names[i], scores, std::nullopt);
        }
        names.clear();
    };
    for (const std::string& path : options.pictures) {
        try {
            const Picture picture = read_picture(path, session.shape());
            normalizer.apply(picture.pixels.data(), pixels, images + names.size() * elements);
            names.push_back(path);
        } catch (const RuntimeError& error) {
            print_error(error, stderr);
            outcome.failed++;
        }
        if (names.size() == batch) flush();
    }
    flush();
    results.end_of_pictures();
    return outcome;
}

Outcome classify_set(InferenceSession& session, const InferOptions& options, Results& results) {
    const PictureSet set = open_set(options, session.shape(), session.classes(),
                                    static_cast<uint64_t>(options.take.value_or(INT32_MAX)));
    std::vector<uint32_t> subset(set.count);
    std::iota(subset.begin(), subset.end(), 0u);
    const bool prints_rows = options.take || !set.has_labels();
    Outcome outcome;
    const auto visit = [&](uint32_t index, std::span<const float> scores) {
        outcome.not_finite += has_finite_scores(scores) ? 0 : 1;
        if (!prints_rows) return;
        std::optional<int> label;
        if (set.has_labels()) label = set.dataset.labels[index];
        results.picture(concat(index), scores, label);
    };
    const Evaluation evaluation = evaluate(session, set.dataset, subset, visit);
    results.end_of_pictures();
    if (set.has_labels()) results.accuracy(evaluation);
    return outcome;
}

int classify(InferenceSession& session, const InferOptions& options, Results& results) {
    load_weights(options.weights, session.info(), session.memory(), session.info());
    session.prepare();
    const Outcome outcome = options.has_set() ? classify_set(session, options, results)
                                              : classify_files(session, options, results);
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
    const int top = options.top.value_or(kDefaultTop);
    const auto results = options.json ? make_json_results(*library.info(), top)
                                      : make_text_results(*library.info(), top);
    if (options.measures()) {
        measure(library, options, description, *results);
        return kExitDone;
    }
    InferenceSession session(library, {options.threads, options.variant, options.device});
    return classify(session, options, *results);
}

}  // namespace

}  // namespace emulsion

int emulsion_infer_main(int argc, char** argv, const emulsion_infer_library* infer,
                        const char* description) {
    return emulsion::guard_main(
        [&] { return emulsion::run_infer(argc, argv, *infer, description); });
}
