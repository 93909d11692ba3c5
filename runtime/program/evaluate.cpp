// See evaluate.h.
#include "runtime/program/evaluate.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

#include "runtime/data/normalize.h"
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

Evaluation evaluate(InferenceSession& session, const Dataset& dataset,
                    std::span<const uint32_t> subset, const ScoreVisitor& visit,
                    const std::function<bool()>& stop) {
    const Normalizer normalizer(session.shape().channels, session.info());
    const uint64_t elements = session.shape().elements();
    const uint64_t pixels = elements / static_cast<uint64_t>(session.shape().channels);
    const size_t batch = static_cast<size_t>(session.batch());
    // images: [batch][H][W][C]
    const AlignedBlock block = allocate_aligned(batch * elements * sizeof(float));
    float* images = static_cast<float*>(block.get());
    Evaluation result;
    result.has_loss = session.score_kind() == ScoreKind::kProbabilities;
    std::vector<HeadCount> counts;
    for (const Head& head : session.heads()) counts.push_back({head.name});
    if (counts.empty()) counts.emplace_back();
    for (size_t begin = 0; begin < subset.size(); begin += batch) {
        if (stop && stop()) break;
        const size_t samples = std::min(batch, subset.size() - begin);
        for (size_t i = 0; i < samples; i++) {
            normalizer.apply(dataset.picture(subset[begin + i]), pixels, images + i * elements);
        }
        session.run(images, static_cast<int>(samples));
        for (size_t i = 0; i < samples; i++) {
            const uint32_t index = subset[begin + i];
            const int sample = static_cast<int>(i);
            if (visit) visit(index, session.scores(sample));
            if (index < dataset.labels.size())
                add_picture(session, sample, dataset.labels[index], counts, &result);
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
    if (evaluation.not_finite > 0)
        text += concat(", scores not finite for ", evaluation.not_finite);
    return text + "\n";
}

}  // namespace emulsion
