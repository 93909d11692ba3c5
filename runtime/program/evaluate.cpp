// See evaluate.h.
#include "runtime/program/evaluate.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <string_view>

#include "runtime/data/loader.h"
#include "runtime/program/format.h"
#include "runtime/program/regression.h"
#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

bool has_finite_scores(std::span<const float> scores) {
    return std::all_of(scores.begin(), scores.end(), [](float s) { return std::isfinite(s); });
}

std::vector<RankedClass> rank_classes(std::span<const float> scores, int count) {
    std::vector<RankedClass> ranked(scores.size());
    for (size_t i = 0; i < scores.size(); i++) ranked[i] = {static_cast<int>(i), scores[i]};
    std::stable_sort(ranked.begin(), ranked.end(),
                     [](const RankedClass& a, const RankedClass& b) { return a.score > b.score; });
    ranked.resize(std::min(ranked.size(), static_cast<size_t>(std::max(count, 0))));
    return ranked;
}

namespace {

bool is_best(std::span<const float> scores, int32_t label) {
    if (!has_finite_scores(scores)) return false;
    return std::max_element(scores.begin(), scores.end()) - scores.begin() == label;
}

// Adds one picture of the session's last run. `counts`: one for each classifier, to be written.
void add_picture(const InferenceSession& session, int sample, int32_t label,
                 std::span<HeadCount> counts, Evaluation* result) {
    const auto scores = session.scores(sample);
    counts[0].correct = is_best(scores, label) ? 1.0 : 0.0;
    for (size_t i = 1; i < counts.size(); i++) {
        const auto others = session.probabilities(session.heads()[i], sample);
        counts[i].correct = is_best(others, label) ? 1.0 : 0.0;
    }
    const auto target = static_cast<size_t>(label);
    const bool has_scores = has_finite_scores(scores) && target < scores.size();
    // A probability that has vanished in single precision counts as the smallest normal number.
    const bool has_loss = has_scores && result->has_loss;
    const double loss = has_loss ? -std::log(double{std::max(scores[target], FLT_MIN)}) : 0.0;
    result->not_finite += has_scores ? 0 : 1;
    result->metrics.add(loss, counts, 1);
}

// Adds the pixels of one picture: `labels` [H][W], of each the class index.
void add_map(const InferenceSession& session, const MapOutput& map, int sample,
             std::span<const int32_t> labels, const Source& source, const EvaluateOptions& options,
             Evaluation* result) {
    const auto scores = session.output(map.index, sample);  // [H][W][K]
    const auto classes = static_cast<size_t>(map.shape.channels);
    double loss = 0.0;
    HeadCount count;
    int64_t pixels = 0;
    bool is_finite = true;
    for (size_t i = 0; i < labels.size(); i++) {
        const int32_t label = labels[i];
        if (source.target.ignored && label == *source.target.ignored) continue;
        const auto pixel = scores.subspan(i * classes, classes);
        const bool has_scores = has_finite_scores(pixel);
        is_finite &= has_scores;
        std::optional<int> found;
        if (has_scores)
            found = static_cast<int>(std::max_element(pixel.begin(), pixel.end()) - pixel.begin());
        if (options.visit_pixel) options.visit_pixel(label, found);
        count.correct += found == label ? 1.0 : 0.0;
        if (has_scores && result->has_loss)
            loss -= std::log(double{std::max(pixel[static_cast<size_t>(label)], FLT_MIN)});
        pixels++;
    }
    result->not_finite += is_finite ? 0 : 1;
    if (pixels > 0) result->metrics.add(loss / static_cast<double>(pixels), {&count, 1}, pixels);
}

// Adds the squared error of one picture's prediction.
void add_numbers(std::span<const float> prediction, std::span<const int32_t> bits,
                 RegressionErrors* errors, Evaluation* result) {
    std::vector<float> targets(bits.size());
    std::memcpy(targets.data(), bits.data(), bits.size_bytes());
    RegressionErrors own;
    const bool is_finite = own.add(prediction, targets) && errors->add(prediction, targets);
    result->not_finite += is_finite ? 0 : 1;
    result->metrics.add(is_finite ? own.mean_squared().value_or(0.0) : 0.0, {}, 1);
}

// Compares each picture of the session's last run with what its row is trained towards.
class Comparison {
  public:
    Comparison(const InferenceSession& session, const Source& source,
               const EvaluateOptions& options, Evaluation* result)
        : session_(session), source_(source), options_(options), result_(result) {
        for (const Head& head : session.heads()) counts_.push_back({head.name});
        if (counts_.empty()) counts_.emplace_back();
        const TargetForm& target = source.target;
        result->has_loss = has_evaluation_loss(session.info(), target.kind);
        result->counts_pixels = target.kind == TargetKind::kMap;
        if (target.kind == TargetKind::kMap) map_ = map_of(session.info(), target.shape);
        if (target.kind == TargetKind::kNumbers)
            prediction_ = find_prediction(session.info(), target.shape);
    }

    void add(const Batch& batch, int sample) {
        const uint32_t index = batch.indices[static_cast<size_t>(sample)];
        const uint64_t elements = source_.target.elements();
        const std::span<const int32_t> target{
            batch.labels + static_cast<uint64_t>(sample) * elements, elements};
        switch (source_.target.kind) {
            case TargetKind::kLabel:
                if (index < source_.labels.size())
                    add_picture(session_, sample, target[0], counts_, result_);
                break;
            case TargetKind::kMap:
                add_map(session_, *map_, sample, target, source_, options_, result_);
                break;
            case TargetKind::kNumbers:
                add_numbers(session_.output(prediction_, sample), target, &errors_, result_);
                break;
            case TargetKind::kNothing:
                break;
        }
    }

    // The errors of numbers, as losses of the result: "mae", "rmse" and, where it is defined, "r2".
    void end() {
        const std::optional<double> squared = errors_.mean_squared();
        if (!squared) return;
        const auto samples = static_cast<double>(result_->metrics.samples);
        const auto add = [&](const char* name, double value) {
            result_->metrics.losses.push_back({name, value * samples});
        };
        add("mae", errors_.mean_absolute().value_or(0.0));
        add("rmse", std::sqrt(*squared));
        if (const std::optional<double> r2 = errors_.r2()) add("r2", *r2);
    }

  private:
    static std::optional<MapOutput> map_of(const emulsion_info& info, const PictureShape& shape) {
        const auto map = map_output_of(info);
        if (map && map->shape.height == shape.height && map->shape.width == shape.width) return map;
        throw RuntimeError(info.network,
                           concat("hands out no scores of ", shape.height, " x ", shape.width,
                                  " pixels for each class"),
                           "end the model with classify(scores)");
    }

    const InferenceSession& session_;
    const Source& source_;
    const EvaluateOptions& options_;
    Evaluation* result_;
    std::vector<HeadCount> counts_;
    std::optional<MapOutput> map_;
    int prediction_ = 0;
    RegressionErrors errors_;  // where numbers are predicted
};

}  // namespace

bool has_evaluation_loss(const emulsion_info& info, TargetKind kind) {
    if (kind == TargetKind::kNumbers) return true;
    if (kind == TargetKind::kNothing) return false;
    if (kind == TargetKind::kLabel) {
        const auto scores = score_output_of(info);
        return scores && scores->kind == ScoreKind::kProbabilities;
    }
    const auto map = map_output_of(info);
    return map && map->kind == ScoreKind::kProbabilities;
}

int find_prediction(const emulsion_info& info, const PictureShape& shape) {
    const std::string_view wanted = "prediction";
    const std::string ending = concat(".", wanted);
    int named = -1, first = -1;
    for (int i = info.output_count; i-- > 0;) {
        const emulsion_port& port = info.outputs[i];
        if (port.type != EMULSION_F32 || port.batched != 1) continue;
        if (port.bytes != shape.elements() * sizeof(float)) continue;
        if (port.name == wanted) return i;
        if (std::string_view(port.name).ends_with(ending)) named = i;
        first = i;
    }
    if (named >= 0) return named;
    if (first >= 0) return first;
    throw RuntimeError(info.network,
                       concat("hands out nothing of the shape ", to_text(shape),
                              " that its predictions are compared with"),
                       "end the model with mean_squared_error(prediction)");
}

Evaluation evaluate(InferenceSession& session, const Source& source,
                    std::span<const uint32_t> subset, const EvaluateOptions& options) {
    Evaluation result;
    Comparison comparison(session, source, options, &result);
    if (subset.empty()) return result;
    LoaderOptions loading;
    const size_t most = static_cast<size_t>(options.batch > 0 ? options.batch : session.batch());
    loading.batch = static_cast<int>(std::min(most, subset.size()));
    loading.is_shuffled = false;
    loading.is_once = true;
    loading.keeps_errors = options.fail != nullptr;
    const auto readers = static_cast<size_t>(options.readers);
    loading.workers =
        source.is_in_memory() ? 0 : static_cast<int>(std::min(readers, subset.size()));
    Loader loader(source, {subset.begin(), subset.end()},
                  Normalizer(session.shape().channels, session.info()), loading);
    for (uint64_t i = 0; i < loader.batches(); i++) {
        if (options.stop && options.stop()) break;
        const Batch& batch = loader.next();
        session.run(batch.images, batch.samples, batch.extras);
        for (int sample = 0; sample < batch.samples; sample++) {
            const uint32_t index = batch.indices[static_cast<size_t>(sample)];
            const std::exception_ptr& error = batch.errors[static_cast<size_t>(sample)];
            if (error) {
                options.fail(index, error);
                continue;
            }
            if (options.visit) options.visit(index, session.scores(sample));
            if (options.visit_sample) options.visit_sample(index, sample);
            comparison.add(batch, sample);
        }
    }
    comparison.end();
    return result;
}

std::string accuracy_text(const Evaluation& evaluation) {
    const Metrics& metrics = evaluation.metrics;
    std::string text;
    if (metrics.correct) {
        text = concat("accuracy ", format_percent(metrics.accuracy().value_or(0.0), 2), " (",
                      fixed(*metrics.correct, 0), " of ", metrics.samples,
                      evaluation.counts_pixels ? " pixels)" : ")");
    }
    if (evaluation.has_loss && evaluation.not_finite == 0)
        text += concat(text.empty() ? "" : ", ", "loss ", fixed(metrics.loss(), 4));
    for (const NamedLoss& error : metrics.losses)
        text += concat(", ", error.name, " ", fixed(metrics.share(error.value), 4));
    for (const HeadCount& head : metrics.heads) {
        const double share = metrics.share(head.correct);
        text += concat(", ", one_line(head.name), " ", format_percent(share, 2));
    }
    if (evaluation.top) {
        text += concat(", top ", evaluation.top->classes, " ",
                       format_percent(metrics.share(evaluation.top->correct), 2));
    }
    if (evaluation.not_finite > 0)
        text += concat(text.empty() ? "" : ", ", "scores not finite for ", evaluation.not_finite);
    return text + "\n";
}

}  // namespace emulsion
