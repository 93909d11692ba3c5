// The candidates of a sweep over the settings of a model file, and the table of what became of
// them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace emulsion {

// One setting and the values it is to have.
struct SweepAxis {
    std::string name;
    std::vector<std::string> values;
};

// "width=16,32" or "depth=2..4" (2, 3, 4) or "width=16..64:16" (16, 32, 48, 64). Throws
// Error[usage].
SweepAxis parse_axis(const std::string& text);

// "50M": a whole number, with k, M or G for thousands, millions or milliards. Throws Error[usage]
// naming the option.
int64_t parse_amount(const std::string& option, const std::string& text);

// The values of the settings, in the order of the axes.
using SweepCandidate = std::vector<std::string>;

inline constexpr uint64_t kMostSweepCandidates = 100000;

// All combinations, the last axis running fastest; or `random` different ones of them, drawn by the
// seed. Throws Error[usage] where there are more than kMostSweepCandidates, or an axis is there
// twice.
std::vector<SweepCandidate> make_candidates(const std::vector<SweepAxis>& axes,
                                            std::optional<int> random, uint64_t seed);

// What became of a candidate.
struct SweepRow {
    SweepCandidate values;
    int64_t multiply_adds = 0, parameters = 0;
    std::string state;  // "done", "over the limit" or "failed"
    // Of the last epoch; empty where it is not known.
    std::string loss, accuracy, validation_loss, validation_accuracy, seconds;

    bool is_done() const { return state == "done"; }
};

// The table as CSV, a row a line, and back. `names` are those of the axes. Throws Error[sweep]
// where the text is no table of them, `file` its name.
std::string sweep_csv(const std::vector<std::string>& names, const std::vector<SweepRow>& rows);
std::vector<SweepRow> parse_sweep_csv(const std::vector<std::string>& names,
                                      const std::string& text, const std::string& file);

// The rows from the best down: by validation accuracy, else validation loss, else accuracy, else
// loss, whichever is the first that all done rows have; those that are not done come last.
std::vector<SweepRow> rank_rows(std::vector<SweepRow> rows);

// For people.
std::string sweep_text(const std::vector<std::string>& names, const std::vector<SweepRow>& rows);

// The fields of the last line of a trainer's log.csv, by the titles of its first.
std::vector<std::pair<std::string, std::string>> last_of_log(const std::string& text);

}  // namespace emulsion
