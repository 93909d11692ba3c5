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
        : info_(info), options_(options), kind_(find_score_output(info).kind) {}

    void picture(const std::string& name, std::span<const float> scores,
                 std::optional<int> label) override;
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

void JsonResults::picture(const std::string& name, std::span<const float> scores,
                          std::optional<int> label) {
    const char* score = kind_ == ScoreKind::kProbabilities ? "probability" : "score";
    Json json{{"picture", name}};
    if (has_finite_scores(scores)) {
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
    print(json);
}

void JsonResults::accuracy(const Evaluation& evaluation) {
    const Metrics& metrics = evaluation.metrics;
    Json json{{"accuracy", metrics.accuracy().value_or(0.0)},
              {"correct", static_cast<int64_t>(metrics.correct.value_or(0.0))},
              {"pictures", metrics.samples}};
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
