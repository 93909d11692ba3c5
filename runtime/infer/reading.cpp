// See reading.h.
#include "runtime/infer/reading.h"

#include <exception>
#include <string_view>

#include "runtime/data/picture_files.h"
#include "runtime/data/split.h"
#include "runtime/data/weights.h"
#include "runtime/infer/picture_names.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr size_t kNamesAtOnce = 1024;
constexpr int kUnlabelled = 255;  // of masks

// What rows of a data set are compared with: the map of a network that classifies each pixel, in
// which kUnlabelled counts nowhere; the prediction of one that gives no scores; else a class.
TargetForm target_of(const emulsion_info& info) {
    TargetForm target;
    const auto map = map_output_of(info);
    if (map && !score_output_of(info)) {
        target = target_form(info.outputs[map->index]);
        target.kind = TargetKind::kMap;
        target.shape.channels = 1;
        if (map->shape.channels <= kUnlabelled) target.ignored = kUnlabelled;
    }
    for (int i = 0; i < info.output_count; i++) {
        const emulsion_port& port = info.outputs[i];
        if (std::string_view(port.name) != "prediction" || port.rank == 0) continue;
        target = target_form(port);
        target.kind = TargetKind::kNumbers;
    }
    return target;
}

}  // namespace

DataRequest make_request(const InferOptions& options, const emulsion_info& info,
                         const DataFacts& facts) {
    DataRequest request;
    request.shape = first_input(info);
    request.extras = extra_inputs(info);
    request.axes = row_axes(info.inputs[0]);
    request.indices = index_range(info.inputs[0]);
    request.classes = classes_of(info);
    request.target = target_of(info);
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

namespace {

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

}  // namespace

Trained load_trained(InferenceSession& session, const InferOptions& options) {
    const DataFacts facts =
        load_weights(options.weights, session.info(), session.memory(), session.info());
    check_facts(options, facts, session);
    session.prepare();
    Trained trained{make_request(options, session.info(), facts),
                    facts.classes.empty() ? class_names(session.info()) : facts.classes};
    // Pictures of another size than the network's are what the weights, or the options, say.
    if (!trained.request.rule) trained.request.rule = PictureRule{};
    return trained;
}

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

void run_files(InferenceSession& session, const InferOptions& options, const DataRequest& request,
               const std::vector<std::string>& places, const std::string& list, Outcome* outcome,
               const std::function<void(const std::string& path, int sample)>& visit) {
    PictureNames names(places, list);
    PictureFiles files;
    files.source = "pictures";
    files.shape = session.shape();
    files.rule = request.rule.value_or(PictureRule{});
    EvaluateOptions evaluation = evaluate_options(options, outcome);
    evaluation.visit_sample = [&](uint32_t index, int sample) {
        visit(files.paths[index], sample);
    };
    while (true) {
        files.paths = names.next(kNamesAtOnce);
        if (files.paths.empty()) break;
        evaluate(session, files, whole_set(files.paths.size()), evaluation);
    }
}

int conclude(const InferOptions& options, const Outcome& outcome) {
    if (outcome.not_finite > 0) {
        throw RuntimeError(
            options.weights,
            concat("the scores of ", outcome.not_finite, " pictures are NaN or infinite"),
            "train again with a lower learning rate");
    }
    return outcome.failed > 0 ? kExitFailed : kExitDone;
}

}  // namespace emulsion
