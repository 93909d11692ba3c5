// Results for spreadsheets: one line a picture.
#include <algorithm>

#include "runtime/infer/results.h"
#include "runtime/program/format.h"
#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

class CsvResults : public Results {
  public:
    CsvResults(const emulsion_info& info, const ResultsOptions& options)
        : options_(options), kind_(find_score_output(info).kind) {}

    void picture(const std::string& name, std::span<const float> scores,
                 std::optional<int> label) override;
    void end_of_pictures() override {}
    // The lines of pictures say it, and are all that such a file holds.
    void accuracy(const Evaluation&) override {}
    void benchmark(const BenchmarkResult&, int, const Device&) override {}
    void profile(const CallProfile&) override {}

  private:
    std::string titles(size_t classes, bool has_label) const;

    const ResultsOptions options_;
    ScoreKind kind_;
    bool has_titles_ = false;
};

std::string CsvResults::titles(size_t classes, bool has_label) const {
    const char* score = kind_ == ScoreKind::kProbabilities ? "probability" : "score";
    std::string line = "picture";
    for (size_t i = 0; i < classes; i++) {
        const std::string end = i > 0 ? concat(i + 1) : "";
        line += concat(",class", end, ",index", end, ",", score, end);
    }
    return line + (has_label ? ",label\n" : "\n");
}

void CsvResults::picture(const std::string& name, std::span<const float> scores,
                         std::optional<int> label) {
    const size_t classes = std::min(static_cast<size_t>(options_.top), scores.size());
    std::string line = has_titles_ ? "" : titles(classes, label.has_value());
    has_titles_ = true;
    line += csv_cell(name);
    if (has_finite_scores(scores)) {
        for (const RankedClass& entry : rank_classes(scores, options_.top)) {
            line += concat(",", csv_cell(class_name(options_.classes, entry.index)), ",",
                           entry.index, ",", entry.score);
        }
    } else {
        for (size_t i = 0; i < classes; i++) line += ",,,";
    }
    if (label) line += "," + csv_cell(class_name(options_.classes, *label));
    print_results(line + "\n");
}

}  // namespace

std::unique_ptr<Results> make_csv_results(const emulsion_info& info,
                                          const ResultsOptions& options) {
    return std::make_unique<CsvResults>(info, options);
}

}  // namespace emulsion
