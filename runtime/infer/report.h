// What the inference program prints about pictures: rows of a table, or one JSON object a line.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/program/evaluate.h"
#include "runtime/program/session.h"

namespace emulsion {

// Collects rows and writes them to stdout: the table at the end, JSON at once. Scores that are not
// finite are never printed as a class: the row says so, and `not_finite` counts it.
class ClassReport {
  public:
    ClassReport(const InferenceSession& session, int top, bool is_json)
        : info_(session.info()), kind_(session.score_kind()), top_(top), is_json_(is_json) {}

    void add(const std::string& picture, std::span<const float> scores, std::optional<int> label);
    // Prints the table, if rows are left to print.
    void finish();
    int64_t not_finite() const { return not_finite_; }

  private:
    std::string score_text(float score) const;
    void add_json(const std::string& picture, std::span<const float> scores,
                  std::optional<int> label) const;

    const emulsion_info& info_;
    ScoreKind kind_;
    int top_;
    bool is_json_;
    bool has_labels_ = false;
    int64_t not_finite_ = 0;
    std::vector<std::vector<std::string>> rows_;
};

// The result over a labelled set as one JSON object; accuracy_text is the one for people.
std::string accuracy_json(const Evaluation& evaluation);

}  // namespace emulsion
