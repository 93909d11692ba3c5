// What the inference program has found out, one function for each kind of result, for whoever shows
// it. There is one file for each form: text_results.cpp, json_results.cpp, csv_results.cpp.
#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/infer/measure.h"
#include "runtime/infer/outputs.h"
#include "runtime/program/evaluate.h"
#include "runtime/program/profile.h"

namespace emulsion {

// Of one picture.
struct PictureResult {
    std::string name;
    std::span<const float> scores;  // empty: the network gives none
    std::optional<int> label;
    std::span<const OutputValues> outputs;  // those asked for by name
};

class Results {
  public:
    virtual ~Results() = default;
    // Scores that are not finite are never shown as a class.
    virtual void picture(const PictureResult& result) = 0;
    virtual void end_of_pictures() = 0;
    // Over a labelled set.
    virtual void accuracy(const Evaluation& evaluation) = 0;
    virtual void benchmark(const BenchmarkResult& result, int threads, const Device& device) = 0;
    virtual void profile(const CallProfile& profile) = 0;
};

struct ResultsOptions {
    std::vector<std::string> classes;  // names; empty: numbers
    int top = 1;                       // classes of a picture
};

// On standard output. Text collects the rows of pictures for its table, as many as
// kMostTableRows, and then begins another one; JSON and CSV print each at once. `info` must outlive
// the results.
inline constexpr size_t kMostTableRows = 1024;
std::unique_ptr<Results> make_text_results(const emulsion_info& info,
                                           const ResultsOptions& options);
std::unique_ptr<Results> make_json_results(const emulsion_info& info,
                                           const ResultsOptions& options);
// A line of titles, then one a picture: picture, class, index, probability (or score), the same
// three of every further class asked for, the label where it is known, and the values of each
// output asked for, "NAME.0" and so on, in the order C, H, W. Quoted as RFC 4180 says.
std::unique_ptr<Results> make_csv_results(const emulsion_info& info, const ResultsOptions& options);

}  // namespace emulsion
