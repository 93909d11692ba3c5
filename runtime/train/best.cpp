// See best.h.
#include "runtime/train/best.h"

#include <cmath>

namespace emulsion {

bool is_metric(std::string_view name) { return name == "loss" || name == "accuracy"; }

std::optional<double> metric_value(const EpochRecord& record, std::string_view metric) {
    if (!record.validation) return std::nullopt;
    const Evaluation& validation = *record.validation;
    if (metric == "accuracy") return validation.metrics.accuracy();
    const double loss = validation.metrics.loss();
    const bool is_number = validation.has_loss && validation.not_finite == 0 && std::isfinite(loss);
    return is_number ? std::optional(loss) : std::nullopt;
}

const EpochRecord* find_best(const std::vector<EpochRecord>& history, std::string_view metric) {
    const EpochRecord* best = nullptr;
    double best_value = 0.0;
    for (const EpochRecord& record : history) {
        const std::optional<double> value = metric_value(record, metric);
        if (!value) continue;
        const bool is_better = metric == "accuracy" ? *value > best_value : *value < best_value;
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
