// See evaluate.h.
#include "runtime/program/evaluate.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

#include "runtime/data/loader.h"
#include "runtime/program/format.h"
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

}  // namespace

Evaluation evaluate(InferenceSession& session, const Source& source,
                    std::span<const uint32_t> subset, const EvaluateOptions& options) {
    Evaluation result;
    result.has_loss = session.score_kind() == ScoreKind::kProbabilities;
    if (subset.empty()) return result;
    std::vector<HeadCount> counts;
    for (const Head& head : session.heads()) counts.push_back({head.name});
    if (counts.empty()) counts.emplace_back();
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
        session.run(batch.images, batch.samples);
        for (int sample = 0; sample < batch.samples; sample++) {
            const uint32_t index = batch.indices[static_cast<size_t>(sample)];
            const std::exception_ptr& error = batch.errors[static_cast<size_t>(sample)];
            if (error) {
                options.fail(index, error);
                continue;
            }
            if (options.visit) options.visit(index, session.scores(sample));
            if (index < source.labels.size())
                add_picture(session, sample, source.labels[index], counts, &result);
        }
    }
    return result;
}

std::string accuracy_text(const Evaluation& evaluation) {
    const Metrics& metrics = evaluation.metrics;
    std::string text =
        concat("accuracy ", format_percent(metrics.accuracy().value_or(0.0), 2), " (",
               fixed(metrics.correct.value_or(0.0), 0), " of ", metrics.samples, ")");
    if (evaluation.has_loss && evaluation.not_finite == 0)
        text += concat(", loss ", fixed(metrics.loss(), 4));
    for (const HeadCount& head : metrics.heads) {
        const double share = metrics.share(head.correct);
        text += concat(", ", one_line(head.name), " ", format_percent(share, 2));
    }
    if (evaluation.top) {
        text += concat(", top ", evaluation.top->classes, " ",
                       format_percent(metrics.share(evaluation.top->correct), 2));
    }
    if (evaluation.not_finite > 0)
        text += concat(", scores not finite for ", evaluation.not_finite);
    return text + "\n";
}

}  // namespace emulsion
