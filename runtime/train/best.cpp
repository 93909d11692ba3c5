// See best.h.
#include "runtime/train/best.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace emulsion {

namespace {

constexpr std::string_view kMetrics[] = {"loss", "accuracy", "top", "recall", "iou"};

std::optional<double> value_of(const Evaluation& validation, std::string_view metric) {
    if (metric == "accuracy") return validation.metrics.accuracy();
    if (metric == "recall") return validation.mean_recall;
    if (metric == "iou") return validation.mean_iou;
    if (metric == "top") {
        if (!validation.top) return std::nullopt;
        return validation.metrics.share(validation.top->correct);
    }
    if (!validation.has_loss || validation.not_finite > 0) return std::nullopt;
    return validation.metrics.loss();
}

}  // namespace

bool is_metric(std::string_view name) {
    return std::ranges::find(kMetrics, name) != std::end(kMetrics);
}

bool needs_confusion(std::string_view metric) { return metric == "recall" || metric == "iou"; }

std::optional<double> metric_value(const EpochRecord& record, std::string_view metric) {
    if (!record.validation) return std::nullopt;
    const std::optional<double> value = value_of(*record.validation, metric);
    return value && std::isfinite(*value) ? value : std::nullopt;
}

const EpochRecord* find_best(const std::vector<EpochRecord>& history, std::string_view metric) {
    const EpochRecord* best = nullptr;
    double best_value = 0.0;
    for (const EpochRecord& record : history) {
        const std::optional<double> value = metric_value(record, metric);
        if (!value) continue;
        const bool is_better = metric == "loss" ? *value < best_value : *value > best_value;
        if (best == nullptr || is_better) best = &record, best_value = *value;
    }
    return best;
}

int64_t epochs_since_best(const std::vector<EpochRecord>& history, std::string_view metric) {
    const EpochRecord* best = find_best(history, metric);
    int64_t count = 0;
    for (auto record = history.rbegin(); record != history.rend() && &*record != best; record++)
        count += record->validation ? 1 : 0;
    return count;
}

}  // namespace emulsion
