// See classify.h.
#include "runtime/infer/classify.h"

#include <algorithm>
#include <utility>

#include "runtime/data/split.h"
#include "runtime/infer/reading.h"
#include "runtime/program/format.h"
#include "runtime/support/path.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr int kDefaultTop = 3;
constexpr int kMostMaskClasses = 256;

// Shows each picture, and writes what was asked for besides.
class Rows {
  public:
    Rows(const InferenceSession& session, const InferOptions& options, Results& results)
        : session_(session), options_(options), results_(results) {
        const emulsion_info& info = session.info();
        if (!options.outputs.empty()) shown_ = find_outputs(info, options.outputs, "--output");
        if (!options.save_outputs.empty()) {
            saved_ = find_outputs(info, options.outputs, "--output");
            files_.emplace(options.save_outputs, info, saved_);
        }
        if (!options.save_masks.empty()) {
            map_ = find_map(info);
            make_folder(options.save_masks);
        }
    }

    // A sample of the session's last run.
    void add(const std::string& name, std::optional<int> label, int sample) {
        const auto scores = session_.scores(sample);
        const std::vector<OutputValues> shown = values_of(shown_, sample);
        const std::vector<OutputValues> saved = values_of(saved_, sample);
        is_finite_ =
            has_finite_scores(scores) && has_finite_values(shown) && has_finite_values(saved);
        results_.picture({name, scores, label, shown});
        if (files_) files_->add(name, saved);
        if (map_) add_mask(name, sample);
        not_finite_ += is_finite_ ? 0 : 1;
    }

    void end() {
        if (files_) files_->commit();
        results_.end_of_pictures();
    }
    int64_t not_finite() const { return not_finite_; }  // pictures

  private:
    static MapOutput find_map(const emulsion_info& info) {
        const auto map = map_output_of(info);
        const bool is_picture = map && info.outputs[map->index].rank == 3;
        if (is_picture && map->shape.channels <= kMostMaskClasses) return *map;
        throw RuntimeError(
            "--save-masks",
            is_picture ? concat("the network has ", map->shape.channels,
                                " classes, but a PNG of indices holds at most ", kMostMaskClasses)
                       : std::string("the network gives no scores of classes for each pixel"),
            "leave the option out, or give --save-outputs FOLDER");
    }
    std::vector<OutputValues> values_of(const std::vector<int>& outputs, int sample) const {
        std::vector<OutputValues> values;
        for (const int output : outputs)
            values.push_back({&session_.info().outputs[output], session_.output(output, sample)});
        return values;
    }
    // Scores that are not finite are no class.
    void add_mask(const std::string& name, int sample) {
        const uint64_t index = masks_++;
        const auto scores = session_.output(map_->index, sample);
        if (has_finite_scores(scores)) {
            write_mask(options_.save_masks, index, name, scores, map_->shape);
        } else {
            is_finite_ = false;
        }
    }

    const InferenceSession& session_;
    const InferOptions& options_;
    Results& results_;
    std::vector<int> shown_, saved_;  // outputs
    std::optional<OutputFiles> files_;
    std::optional<MapOutput> map_;
    uint64_t masks_ = 0;
    bool is_finite_ = true;  // all that the last picture has
    int64_t not_finite_ = 0;
};

// Classifies picture files as their names come, so many at a time. A file that cannot be used is
// reported and the others go on.
Outcome classify_files(InferenceSession& session, const InferOptions& options,
                       const DataRequest& request, Results& results) {
    Outcome outcome;
    Rows rows(session, options, results);
    run_files(session, options, request, options.pictures, options.list, &outcome,
              [&](const std::string& path, int sample) { rows.add(path, std::nullopt, sample); });
    rows.end();
    outcome.not_finite = rows.not_finite();
    return outcome;
}

Outcome classify_set(InferenceSession& session, const InferOptions& options,
                     const DataRequest& request, Results& results) {
    const auto set = open_set(options, request);
    if (!set->note.empty()) print_talk(set->note + "\n");
    const bool has_labels = !set->labels.empty();
    const bool is_compared = has_labels || set->target.kind != TargetKind::kLabel;
    const bool prints_rows = options.take || options.csv || options.has_outputs() || !is_compared;
    Outcome outcome;
    Rows rows(session, options, results);
    EvaluateOptions evaluation = evaluate_options(options, &outcome);
    evaluation.visit_sample = [&](uint32_t index, int sample) {
        if (!prints_rows) return;
        std::optional<int> label;
        if (has_labels) label = set->labels[index];
        rows.add(set->name_of(index), label, sample);
    };
    const Evaluation result = evaluate(session, *set, whole_set(set->count()), evaluation);
    rows.end();
    if (is_compared) results.accuracy(result);
    outcome.not_finite = std::max(rows.not_finite(), result.not_finite);
    return outcome;
}

// What is neither printed nor written would be computed for nobody.
void check_shown(const InferOptions& options, const InferenceSession& session) {
    const bool prints_outputs = !options.outputs.empty() && (options.json || options.csv);
    if (session.has_scores() || prints_outputs || options.has_set() ||
        !options.save_outputs.empty() || !options.save_masks.empty())
        return;
    throw RuntimeError(session.info().network,
                       "has no output that is one vector of scores a picture",
                       "add --save-outputs FOLDER, --save-masks FOLDER, or --json --output NAME");
}

}  // namespace

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
    check_shown(options, session);
    const Trained trained = load_trained(session, options);
    const auto results = make_results(options, session.info(), trained.classes);
    const Outcome outcome = options.has_set()
                                ? classify_set(session, options, trained.request, *results)
                                : classify_files(session, options, trained.request, *results);
    return conclude(options, outcome);
}

}  // namespace emulsion
