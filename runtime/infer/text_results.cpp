// Results for people: tables.
#include <vector>

#include "runtime/infer/results.h"
#include "runtime/program/format.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

class TextResults : public Results {
  public:
    TextResults(const emulsion_info& info, const ResultsOptions& options)
        : info_(info), options_(options), kind_(score_kind_of(info)) {}

    void picture(const PictureResult& result) override;
    void end_of_pictures() override;
    void accuracy(const Evaluation& evaluation) override {
        print_results(accuracy_text(evaluation));
    }
    void benchmark(const BenchmarkResult& result, int threads, const Device& device) override;
    void profile(const CallProfile& profile) override {
        print_results(profile_text(profile, info_));
    }

  private:
    bool has_probabilities() const { return kind_ == ScoreKind::kProbabilities; }
    std::string score_text(float score) const {
        return has_probabilities() ? format_percent(score, 1) : fixed(score, 4);
    }
    std::string name_of(int index) const { return one_line(class_name(options_.classes, index)); }

    const emulsion_info& info_;
    const ResultsOptions options_;
    ScoreKind kind_;
    bool has_labels_ = false;
    std::vector<std::vector<std::string>> rows_;
};

void TextResults::picture(const PictureResult& result) {
    const auto& [name, scores, label, outputs] = result;
    if (scores.empty()) return;
    std::vector<std::string> row{one_line(name)};
    if (has_finite_scores(scores)) {
        const auto ranked = rank_classes(scores, options_.top);
        row.push_back(name_of(ranked[0].index));
        row.push_back(score_text(ranked[0].score));
        std::string others;
        for (size_t i = 1; i < ranked.size(); i++) {
            others += concat(i > 1 ? ", " : "", name_of(ranked[i].index), " ",
                             score_text(ranked[i].score));
        }
        row.push_back(others);
    } else {
        row.insert(row.end(), {"(scores are not finite)", "", ""});
    }
    has_labels_ |= label.has_value();
    row.push_back(label ? name_of(*label) : "");
    rows_.push_back(std::move(row));
    if (rows_.size() == kMostTableRows) end_of_pictures();
}

void TextResults::end_of_pictures() {
    if (rows_.empty()) return;
    const char* score = has_probabilities() ? "probability" : "score";
    rows_.insert(rows_.begin(), {"picture", "class", score, "then", has_labels_ ? "label" : ""});
    print_results(format_table(
        rows_, {Align::kLeft, Align::kLeft, Align::kRight, Align::kLeft, Align::kLeft}));
    rows_.clear();
}

void TextResults::benchmark(const BenchmarkResult& result, int threads, const Device& device) {
    const Latency& latency = result.latency;
    std::vector<std::vector<std::string>> rows;
    rows.push_back({"latency", concat(fixed(1e3 * latency.median, 4), " ms"),
                    concat("median of ", latency.runs, " runs of one picture, minimum ",
                           fixed(1e3 * latency.minimum, 4), " ms")});
    for (const Throughput& entry : result.throughput) {
        rows.push_back({"throughput", format_thousands(entry.images_per_second) + " img/s",
                        concat("batch ", entry.batch)});
    }
    const std::string where = device.is_processor()
                                  ? concat(threads, threads == 1 ? " thread" : " threads")
                                  : device.text();
    print_results(concat(info_.network, ", ", where, "\n") +
                  format_table(rows, {Align::kLeft, Align::kRight, Align::kLeft}));
}

}  // namespace

std::unique_ptr<Results> make_text_results(const emulsion_info& info,
                                           const ResultsOptions& options) {
    return std::make_unique<TextResults>(info, options);
}

}  // namespace emulsion
