// See epoch_csv.h.
#include "runtime/train/epoch_csv.h"

#include <optional>
#include <vector>

#include "runtime/program/format.h"
#include "runtime/support/text.h"
#include "runtime/train/best.h"

namespace emulsion {

namespace {

std::string cell(const std::optional<double>& value) { return value ? concat(*value) : ""; }

std::optional<double> head_share(const Metrics& metrics, const std::string& name) {
    for (const HeadCount& head : metrics.heads) {
        if (head.name == name) return metrics.share(head.correct);
    }
    return std::nullopt;
}

std::string join(const std::vector<std::string>& cells) {
    std::string line;
    for (const std::string& text : cells) line += (&text == &cells[0] ? "" : ",") + text;
    return line + "\n";
}

}  // namespace

std::string csv_header(const EpochRecord& record) {
    std::vector<std::string> cells{
        "epoch", "step", "loss", "accuracy", "validation_loss", "validation_accuracy"};
    for (const HeadCount& head : record.metrics.heads) {
        cells.push_back(csv_cell(head.name));
        cells.push_back(csv_cell("validation_" + head.name));
    }
    cells.insert(cells.end(), {"validation_top", "learning_rate", "seconds", "images_per_second"});
    return join(cells);
}

std::string csv_row(const EpochRecord& record, int64_t step) {
    const auto& validation = record.validation;
    std::vector<std::string> cells{concat(record.epoch),
                                   concat(step),
                                   concat(record.metrics.loss()),
                                   cell(record.metrics.accuracy()),
                                   cell(metric_value(record, "loss")),
                                   cell(metric_value(record, "accuracy"))};
    for (const HeadCount& head : record.metrics.heads) {
        cells.push_back(concat(record.metrics.share(head.correct)));
        cells.push_back(validation ? cell(head_share(validation->metrics, head.name)) : "");
    }
    const bool has_top = validation && validation->top;
    cells.push_back(has_top ? concat(validation->metrics.share(validation->top->correct)) : "");
    cells.push_back(concat(record.learning_rate));
    const bool is_timed = record.seconds > 0;
    cells.push_back(is_timed ? concat(record.seconds) : "");
    cells.push_back(is_timed ? concat(record.images_per_second) : "");
    return join(cells);
}

}  // namespace emulsion
