// The reporter for programs: one JSON object a line, with its kind under "event". The settings for
// people appear on standard error as well.
#include <nlohmann/json.hpp>

#include "runtime/support/text.h"
#include "runtime/train/reporter.h"

namespace emulsion {

namespace {

using Json = nlohmann::ordered_json;

std::string dump(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json metrics_json(const Metrics& metrics, bool has_loss) {
    Json json;
    json["loss"] = has_loss ? Json(metrics.loss()) : Json(nullptr);
    const std::optional<double> accuracy = metrics.accuracy();
    json["accuracy"] = accuracy ? Json(*accuracy) : Json(nullptr);
    json["samples"] = metrics.samples;
    for (const HeadCount& head : metrics.heads)
        json["heads"][head.name] = metrics.share(head.correct);
    return json;
}

Json evaluation_json(const Evaluation& evaluation) {
    Json json = metrics_json(evaluation.metrics, evaluation.has_loss && evaluation.not_finite == 0);
    if (evaluation.not_finite > 0) json["not_finite"] = evaluation.not_finite;
    return json;
}

std::string settings_json(const RunFacts& facts) {
    const RunSettings& settings = *facts.settings;
    const int64_t total = settings.total_steps(facts.steps_per_epoch);
    Json json{{"event", "settings"},
              {"network", facts.info->network},
              {"signature", facts.info->signature},
              {"version", facts.info->version},
              {"data", settings.data_name()},
              {"train_pictures", facts.train_pictures},
              {"validation_pictures", facts.validation_pictures},
              {"test_pictures", facts.test_pictures},
              {"epochs", settings.epochs},
              {"steps", total},
              {"steps_per_epoch", facts.steps_per_epoch},
              {"batch", settings.batch},
              {"seed", settings.seed},
              {"threads", facts.threads},
              {"device", facts.device->option},
              {"schedule", schedule_name(settings.schedule.kind)}};
    const Schedule schedule = settings.rates(facts.steps_per_epoch);
    for (int64_t step : steps_to_show(total)) {
        json["learning_rates"].push_back(
            {{"step", step}, {"rate", learning_rate(schedule, step - 1, total)}});
    }
    for (int c = 0; c < EMULSION_CLASSES; c++)
        json["bytes"][memory_class_name(c)] = facts.sizes->bytes[c];
    json["bytes"]["all"] = sum_of(*facts.sizes);
    if (facts.device->is_processor()) return dump(json);
    json["device_name"] = facts.device->name;
    for (int c = 0; c < EMULSION_CLASSES; c++)
        json["device_bytes"][memory_class_name(c)] = facts.sizes->device_bytes[c];
    json["device_bytes"]["all"] = device_sum_of(*facts.sizes);
    return dump(json);
}

std::string epoch_json(const EpochRecord& record, int64_t step) {
    Json json{{"event", "epoch"}, {"epoch", record.epoch}, {"step", step}};
    json.update(metrics_json(record.metrics, true));
    if (record.validation) json["validation"] = evaluation_json(*record.validation);
    json["learning_rate"] = record.learning_rate;
    if (record.seconds > 0) {
        json["seconds"] = record.seconds;
        json["images_per_second"] = record.images_per_second;
    }
    return dump(json);
}

class JsonReporter : public Reporter {
  public:
    explicit JsonReporter(Console& console) : console_(console) {}

    void plan(const RunFacts& facts) override { console_.results(settings_json(facts)); }
    void settings(const RunFacts& facts) override {
        console_.results(settings_json(facts));
        console_.note(settings_text(facts, /*has_rates=*/false));
    }
    void step(const ProgressState& progress) override { console_.progress(progress); }
    void epoch(const EpochRecord& record, int64_t step) override {
        console_.results(epoch_json(record, step));
    }
    void weights(const std::string& path) override {
        console_.results(dump({{"event", "weights"}, {"path", path}}));
    }
    void profile(const CallProfile& profile, const emulsion_info& info) override {
        console_.results(profile_lines(profile, info));
    }
    void test(const Evaluation& evaluation) override {
        Json json{{"event", "test"}};
        json.update(evaluation_json(evaluation));
        console_.results(dump(json));
    }

  private:
    Console& console_;
};

}  // namespace

std::unique_ptr<Reporter> make_json_reporter(Console& console) {
    return std::make_unique<JsonReporter>(console);
}

}  // namespace emulsion
