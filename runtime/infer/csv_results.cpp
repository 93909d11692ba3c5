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
        : options_(options), kind_(score_kind_of(info)) {}

    void picture(const PictureResult& result) override;
    void end_of_pictures() override {}
    // The lines of pictures say it, and are all that such a file holds.
    void accuracy(const Evaluation&) override {}
    void benchmark(const BenchmarkResult&, int, const Device&) override {}
    void profile(const CallProfile&) override {}

  private:
    std::string titles(size_t classes, const PictureResult& result) const;

    const ResultsOptions options_;
    ScoreKind kind_;
    bool has_titles_ = false;
};

std::string CsvResults::titles(size_t classes, const PictureResult& result) const {
    const char* score = kind_ == ScoreKind::kProbabilities ? "probability" : "score";
    std::string line = "picture";
    for (size_t i = 0; i < classes; i++) {
        const std::string end = i > 0 ? concat(i + 1) : "";
        line += concat(",class", end, ",index", end, ",", score, end);
    }
    if (result.label) line += ",label";
    for (const OutputValues& output : result.outputs) {
        for (size_t i = 0; i < output.values.size(); i++)
            line += concat(",", output.port->name, ".", i);
    }
    return line + "\n";
}

void CsvResults::picture(const PictureResult& result) {
    const auto& [name, scores, label, outputs] = result;
    const size_t classes = std::min(static_cast<size_t>(options_.top), scores.size());
    std::string line = has_titles_ ? "" : titles(classes, result);
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
    for (const OutputValues& output : outputs) {
        for (size_t i = 0; i < output.values.size(); i++) line += concat(",", output.at(i));
    }
    print_results(line + "\n");
}

}  // namespace

std::unique_ptr<Results> make_csv_results(const emulsion_info& info,
                                          const ResultsOptions& options) {
    return std::make_unique<CsvResults>(info, options);
}

}  // namespace emulsion
