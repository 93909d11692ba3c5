// The best epoch of a run by a metric of its validation: what weights-best.safetensors holds, and
// what --patience waits for.
//
// A function of the history alone, which a checkpoint holds, so that a resumed run finds the same.
// The end of a run within an epoch is no candidate: a run that is made longer does not look there.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "runtime/train/run.h"

namespace emulsion {

// Whether there is such a metric: "loss", where less is better, or, where more is, "accuracy",
// "top" (of --top), or "recall" or "iou", means over the classes.
bool is_metric(std::string_view name);
inline constexpr std::string_view kMetricNames = "loss, accuracy, top, recall or iou";
// Whether the metric is counted with a confusion alone.
bool needs_confusion(std::string_view metric);

// The value of an epoch's validation; nothing where it has none. A value that is not finite, and
// the loss of a validation with scores that are not, is none: it never counts as better.
std::optional<double> metric_value(const EpochRecord& record, std::string_view metric);

// The best epoch, of equal ones the first; null where none has a value.
const EpochRecord* find_best(const std::vector<EpochRecord>& history, std::string_view metric);

// The validated epochs since the best, or all where none is best.
int64_t epochs_since_best(const std::vector<EpochRecord>& history, std::string_view metric);

}  // namespace emulsion
