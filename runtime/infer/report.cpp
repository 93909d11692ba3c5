// See report.h.
#include "runtime/infer/report.h"

#include <nlohmann/json.hpp>

#include "runtime/program/format.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

using Json = nlohmann::ordered_json;

std::string dump(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string ClassReport::score_text(float score) const {
    return kind_ == ScoreKind::kProbabilities ? format_percent(score, 1) : fixed(score, 4);
}

void ClassReport::add(const std::string& picture, std::span<const float> scores,
                      std::optional<int> label) {
    const bool is_finite = has_finite_scores(scores);
    not_finite_ += is_finite ? 0 : 1;
    if (is_json_) return add_json(picture, scores, label);
    std::vector<std::string> row{one_line(picture)};
    if (is_finite) {
        const auto ranked = rank_classes(scores, top_);
        row.push_back(one_line(class_name(info_, ranked[0].index)));
        row.push_back(score_text(ranked[0].score));
        std::string others;
        for (size_t i = 1; i < ranked.size(); i++) {
            others += concat(i > 1 ? ", " : "", one_line(class_name(info_, ranked[i].index)), " ",
                             score_text(ranked[i].score));
        }
        row.push_back(others);
    } else {
        row.insert(row.end(), {"(scores are not finite)", "", ""});
    }
    has_labels_ |= label.has_value();
    row.push_back(label ? one_line(class_name(info_, *label)) : "");
    rows_.push_back(std::move(row));
}

void ClassReport::add_json(const std::string& picture, std::span<const float> scores,
                           std::optional<int> label) const {
    const char* name = kind_ == ScoreKind::kProbabilities ? "probability" : "score";
    Json json{{"picture", picture}};
    if (has_finite_scores(scores)) {
        const auto ranked = rank_classes(scores, top_);
        json["class"] = class_name(info_, ranked[0].index);
        json["index"] = ranked[0].index;
        json[name] = ranked[0].score;
        for (const RankedClass& entry : ranked) {
            json["top"].push_back({{"class", class_name(info_, entry.index)},
                                   {"index", entry.index},
                                   {name, entry.score}});
        }
    } else {
        json["class"] = nullptr;
        json["error"] = "scores are not finite";
    }
    if (label) json["label"] = class_name(info_, *label);
    print_results(dump(json));
}

void ClassReport::finish() {
    if (rows_.empty()) return;
    const char* score = kind_ == ScoreKind::kProbabilities ? "probability" : "score";
    rows_.insert(rows_.begin(), {"picture", "class", score, "then", has_labels_ ? "label" : ""});
    print_results(format_table(
        rows_, {Align::kLeft, Align::kLeft, Align::kRight, Align::kLeft, Align::kLeft}));
    rows_.clear();
}

std::string accuracy_json(const Evaluation& evaluation) {
    const Metrics& metrics = evaluation.metrics;
    Json json{{"accuracy", metrics.accuracy()},
              {"correct", static_cast<int64_t>(metrics.correct)},
              {"pictures", metrics.samples}};
    if (evaluation.has_loss && evaluation.not_finite == 0) json["loss"] = metrics.loss();
    if (evaluation.not_finite > 0) json["not_finite"] = evaluation.not_finite;
    return dump(json);
}

}  // namespace emulsion
