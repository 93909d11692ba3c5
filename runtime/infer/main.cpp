// The inference program: what NET-infer's main calls. Options, the mode they ask for, errors to
// exit codes.
#include <algorithm>
#include <memory>
#include <utility>

#include "runtime/abi/program.h"
#include "runtime/data/weights.h"
#include "runtime/infer/classify.h"
#include "runtime/infer/detect.h"
#include "runtime/infer/look.h"
#include "runtime/infer/nearest.h"
#include "runtime/infer/options.h"
#include "runtime/infer/outputs.h"
#include "runtime/infer/reading.h"
#include "runtime/infer/results.h"
#include "runtime/infer/saliency.h"
#include "runtime/program/description.h"
#include "runtime/program/format.h"
#include "runtime/support/atomic_file.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr int64_t kDefaultPictures = 10;
constexpr double kProfileSeconds = 1.0;

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

// Picture files are rows of one input.
void check_inputs(const InferOptions& options, const emulsion_info& info) {
    const char* mode = options.view.mode();
    const LookOptions& look = options.view.look;
    if (mode == nullptr ? options.has_set() : !look.filters.empty() || !look.loss_surface.empty())
        return;
    if (info.input_count < 2) return;
    throw UsageError(
        mode == nullptr ? "pictures" : mode,
        concat(mode == nullptr ? "are" : "reads pictures, which are",
               " not all that the network reads: it also reads ", quoted(info.inputs[1].name)),
        "give rows of all its inputs, --data READER.so");
}

int run_infer(int argc, const char* const* argv, const emulsion_infer_library& library,
              const emulsion_infer_library* saliency, const char* description) {
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
    check_inputs(options, *library.info());
    InferenceSession session(library, {options.threads, options.variant, options.device});
    if (options.view.mode() == nullptr) return classify(session, options);
    if (options.view.detect.is_on) return detect(session, options);
    if (!options.view.nearest.folder.empty()) return find_nearest(session, options);
    const LookOptions& look = options.view.look;
    if (!look.filters.empty()) return write_filters(session, options);
    if (!look.feature_maps.empty()) return write_feature_maps(session, options);
    if (!look.occlusion.empty()) return write_occlusion(session, options);
    if (!look.saliency.empty()) return write_saliency(session, options, saliency);
    if (!look.strongest.empty()) return write_strongest(session, options, saliency);
    return write_loss_surface(session, options);
}

}  // namespace

}  // namespace emulsion

int emulsion_infer_main(int argc, char** argv, const emulsion_infer_library* infer,
                        const emulsion_infer_library* saliency, const char* description) {
    return emulsion::guard_main(
        [&] { return emulsion::run_infer(argc, argv, *infer, saliency, description); });
}
