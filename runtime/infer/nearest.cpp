// See nearest.h.
#include "runtime/infer/nearest.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>

#include "runtime/infer/outputs.h"
#include "runtime/infer/reading.h"
#include "runtime/program/format.h"
#include "runtime/support/limits.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kDefaultNeighbours = 5;

double distance_of(std::span<const float> a, std::span<const float> b, Distance distance) {
    double product = 0.0, length_a = 0.0, length_b = 0.0, difference = 0.0;
    for (size_t i = 0; i < a.size(); i++) {
        const double x = a[i], y = b[i];
        product += x * y;
        length_a += x * x;
        length_b += y * y;
        difference += (x - y) * (x - y);
    }
    if (distance == Distance::kL2) return std::sqrt(difference);
    const double lengths = std::sqrt(length_a) * std::sqrt(length_b);
    return lengths > 0.0 ? std::clamp(1.0 - product / lengths, 0.0, 2.0) : 1.0;
}

// The output that is compared.
int find_feature(const InferenceSession& session, const std::string& name) {
    const emulsion_info& info = session.info();
    if (!name.empty()) return find_outputs(info, {&name, 1}, "--feature")[0];
    int scores = -1;
    for (const int i : find_outputs(info, {}, "--feature")) {
        if (info.outputs[i].rank != 1) continue;
        const std::string_view port = info.outputs[i].name;
        const bool is_score = port.ends_with("probabilities") || port.ends_with("scores");
        if (!is_score) return i;
        if (scores < 0 || port.ends_with("scores")) scores = i;
    }
    if (scores >= 0) return scores;
    throw RuntimeError(info.network, "hands out no vector of features",
                       "add m.output(\"features\", tensor) to the model, or name a map with "
                       "--feature");
}

struct Features {
    std::vector<std::string> names;
    std::vector<float> values;  // [n][width]
};

// Those of the pictures at these places, in a memory that the machine has.
Features read_features(InferenceSession& session, const InferOptions& options,
                       const DataRequest& request, const std::vector<std::string>& places,
                       const std::string& list, int output, Outcome* outcome) {
    Features features;
    const uint64_t limit = most_data_bytes();
    run_files(session, options, request, places, list, outcome,
              [&](const std::string& path, int sample) {
                  const auto values = session.output(output, sample);
                  if (!has_finite_scores(values)) {
                      outcome->not_finite++;
                      return;
                  }
                  if ((features.values.size() + values.size()) * sizeof(float) > limit) {
                      throw RuntimeError("--nearest",
                                         concat("the features of more than ", features.names.size(),
                                                " pictures take more than ", limit, " bytes"),
                                         "compare with fewer pictures, or a smaller output");
                  }
                  features.names.push_back(path);
                  features.values.insert(features.values.end(), values.begin(), values.end());
              });
    return features;
}

void print_json(const std::string& name, const Features& known,
                const std::vector<Neighbour>& neighbours) {
    Json json{{"picture", name}, {"nearest", Json::array()}};
    for (const Neighbour& each : neighbours) {
        json["nearest"].push_back(
            {{"picture", known.names[each.row]}, {"distance", each.distance}});
    }
    print_results(json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

}  // namespace

std::vector<Neighbour> nearest_rows(std::span<const float> features, std::span<const float> query,
                                    Distance distance, uint64_t count) {
    std::vector<Neighbour> all;
    for (uint64_t row = 0; row < features.size() / query.size(); row++) {
        all.push_back({row, distance_of(features.subspan(row * query.size(), query.size()), query,
                                        distance)});
    }
    const auto end = all.begin() + static_cast<ptrdiff_t>(std::min<uint64_t>(count, all.size()));
    std::partial_sort(all.begin(), end, all.end(), [](const Neighbour& a, const Neighbour& b) {
        return a.distance < b.distance || (a.distance == b.distance && a.row < b.row);
    });
    return {all.begin(), end};
}

int find_nearest(InferenceSession& session, const InferOptions& options) {
    const int output = find_feature(session, options.view.nearest.feature);
    const Trained trained = load_trained(session, options);
    Outcome outcome;
    const Features known = read_features(session, options, trained.request,
                                         {options.view.nearest.folder}, "", output, &outcome);
    const size_t width = session.info().outputs[output].bytes / sizeof(float);
    const auto count = static_cast<uint64_t>(options.top.value_or(kDefaultNeighbours));
    std::vector<std::vector<std::string>> rows{{"picture", "nearest", "distance"}};
    if (options.csv) print_results("picture,rank,nearest,distance\n");
    run_files(session, options, trained.request, options.pictures, options.list, &outcome,
              [&](const std::string& path, int sample) {
                  const auto query = session.output(output, sample).first(width);
                  if (!has_finite_scores(query)) {
                      outcome.not_finite++;
                      return;
                  }
                  const std::vector<Neighbour> found =
                      nearest_rows(known.values, query, options.view.nearest.distance, count);
                  if (options.json) return print_json(path, known, found);
                  for (size_t i = 0; i < found.size(); i++) {
                      const std::string& name = known.names[found[i].row];
                      if (options.csv) {
                          print_results(concat(csv_cell(path), ",", i + 1, ",", csv_cell(name), ",",
                                               found[i].distance, "\n"));
                      } else {
                          rows.push_back({i == 0 ? one_line(path) : "", one_line(name),
                                          fixed(found[i].distance, 4)});
                      }
                  }
              });
    if (!options.json && !options.csv)
        print_results(format_table(rows, {Align::kLeft, Align::kLeft, Align::kRight}));
    return conclude(options, outcome);
}

}  // namespace emulsion
