// Results for programs: one JSON object a line.
#include <nlohmann/json.hpp>

#include "runtime/infer/results.h"
#include "runtime/program/format.h"

namespace emulsion {

namespace {

using Json = nlohmann::ordered_json;

void print(const Json& json) {
    print_results(json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

class JsonResults : public Results {
  public:
    JsonResults(const emulsion_info& info, const ResultsOptions& options)
        : info_(info), options_(options), kind_(score_kind_of(info)) {}

    void picture(const PictureResult& result) override;
    void end_of_pictures() override {}
    void accuracy(const Evaluation& evaluation) override;
    void benchmark(const BenchmarkResult& result, int threads, const Device& device) override;
    void profile(const CallProfile& profile) override {
        print_results(profile_lines(profile, info_));
    }

  private:
    std::string name_of(int index) const { return class_name(options_.classes, index); }

    const emulsion_info& info_;
    const ResultsOptions options_;
    ScoreKind kind_;
};

// Nested lists of the output's shape from `axis` on; `place` counts the values.
Json nested(const OutputValues& output, size_t axis, size_t* place) {
    if (axis == output.shape().size()) return output.at((*place)++);
    Json list = Json::array();
    for (int64_t i = 0; i < output.shape()[axis]; i++)
        list.push_back(nested(output, axis + 1, place));
    return list;
}

void JsonResults::picture(const PictureResult& result) {
    const auto& [name, scores, label, outputs] = result;
    const char* score = kind_ == ScoreKind::kProbabilities ? "probability" : "score";
    Json json{{"picture", name}};
    if (scores.empty()) {
        // The network gives no classes.
    } else if (has_finite_scores(scores)) {
        const auto ranked = rank_classes(scores, options_.top);
        json["class"] = name_of(ranked[0].index);
        json["index"] = ranked[0].index;
        json[score] = ranked[0].score;
        for (const RankedClass& entry : ranked) {
            json["top"].push_back(
                {{"class", name_of(entry.index)}, {"index", entry.index}, {score, entry.score}});
        }
    } else {
        json["class"] = nullptr;
        json["error"] = "scores are not finite";
    }
    if (label) json["label"] = name_of(*label);
    for (const OutputValues& output : outputs) {
        size_t place = 0;
        json["outputs"][output.port->name] = nested(output, 0, &place);
    }
    print(json);
}

void JsonResults::accuracy(const Evaluation& evaluation) {
    const Metrics& metrics = evaluation.metrics;
    Json json;
    if (metrics.correct) {
        json["accuracy"] = metrics.accuracy().value_or(0.0);
        json["correct"] = static_cast<int64_t>(*metrics.correct);
    }
    json[evaluation.counts_pixels ? "pixels" : "pictures"] = metrics.samples;
    if (evaluation.has_loss && evaluation.not_finite == 0) json["loss"] = metrics.loss();
    for (const HeadCount& head : metrics.heads)
        json["heads"][head.name] = metrics.share(head.correct);
    if (evaluation.not_finite > 0) json["not_finite"] = evaluation.not_finite;
    print(json);
}

void JsonResults::benchmark(const BenchmarkResult& result, int threads, const Device& device) {
    const Latency& latency = result.latency;
    Json json{{"network", info_.network},
              {"version", info_.version},
              {"threads", threads},
              {"device", device.option},
              {"latency",
               {{"median_ms", 1e3 * latency.median},
                {"minimum_ms", 1e3 * latency.minimum},
                {"runs", latency.runs}}},
              {"throughput", Json::array()}};
    for (const Throughput& entry : result.throughput) {
        json["throughput"].push_back(
            {{"batch", entry.batch}, {"images_per_second", entry.images_per_second}});
    }
    print(json);
}

}  // namespace

std::unique_ptr<Results> make_json_results(const emulsion_info& info,
                                           const ResultsOptions& options) {
    return std::make_unique<JsonResults>(info, options);
}

}  // namespace emulsion
