// See event_json.h.
#include "runtime/train/event_json.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "runtime/support/base64.h"
#include "runtime/support/text.h"

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
    for (const NamedLoss& each : metrics.losses)
        json["losses"][each.name] = metrics.share(each.value);
    return json;
}

Json share_json(const std::optional<double>& share) { return share ? Json(*share) : Json(nullptr); }

// "confusion": a row for each label; "recall", "precision" and "iou" of each class, and their
// means.
Json confusion_json(const Confusion& confusion) {
    Json json;
    for (int label = 0; label < confusion.classes(); label++) {
        Json row = Json::array();
        for (int found = 0; found < confusion.classes(); found++)
            row.push_back(confusion.count(label, found));
        json["confusion"].push_back(row);
        json["recall"].push_back(share_json(confusion.recall(label)));
        json["precision"].push_back(share_json(confusion.precision(label)));
        json["iou"].push_back(share_json(confusion.iou(label)));
    }
    json["mean_recall"] = share_json(confusion.mean_recall());
    json["mean_precision"] = share_json(confusion.mean_precision());
    json["mean_iou"] = share_json(confusion.mean_iou());
    return json;
}

Json evaluation_json(const Evaluation& evaluation) {
    Json json = metrics_json(evaluation.metrics, evaluation.has_loss && evaluation.not_finite == 0);
    if (json.contains("losses")) {  // of predicted numbers
        json["errors"] = json["losses"];
        json.erase("losses");
    }
    if (evaluation.not_finite > 0) json["not_finite"] = evaluation.not_finite;
    if (evaluation.top) {
        json["top"] = {{"classes", evaluation.top->classes},
                       {"accuracy", evaluation.metrics.share(evaluation.top->correct)}};
    }
    if (evaluation.confusion) json.update(confusion_json(*evaluation.confusion));
    return json;
}

}  // namespace

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
    if (settings.momentum) json["momentum"] = *settings.momentum;
    if (settings.lowest_momentum && settings.highest_momentum)
        json["cycled_momentum"] = {*settings.lowest_momentum, *settings.highest_momentum};
    if (settings.weight_decay) json["weight_decay"] = *settings.weight_decay;
    if (!settings.augmentation.empty()) json["augmentation"] = settings.augmentation;
    if (!settings.best.empty()) json["best"] = settings.best;
    if (settings.patience > 0) json["patience"] = settings.patience;
    if (settings.keep > 0) json["keep"] = settings.keep;
    if (settings.ema > 0) json["ema"] = settings.ema;
    const Schedule schedule = settings.rates(facts.steps_per_epoch);
    for (int64_t step : steps_to_show(total)) {
        json["learning_rates"].push_back(
            {{"step", step}, {"rate", learning_rate(schedule, step - 1, total)}});
    }
    for (int c = 0; c < EMULSION_CLASSES; c++)
        json["bytes"][memory_class_name(c)] = facts.sizes->bytes[c];
    json["bytes"]["all"] = sum_of(*facts.sizes);
    if (facts.resumed != nullptr) json["resumed_after"] = facts.resumed->step;
    if (facts.command != nullptr) json["command"] = *facts.command;
    if (facts.device->is_processor()) return dump(json);
    json["device_name"] = facts.device->name;
    for (int c = 0; c < EMULSION_CLASSES; c++)
        json["device_bytes"][memory_class_name(c)] = facts.sizes->device_bytes[c];
    json["device_bytes"]["all"] = device_sum_of(*facts.sizes);
    return dump(json);
}

std::string init_json(const std::string& path, const InitialWeights& initial) {
    Json json{{"event", "init"}, {"step", 0}, {"path", path}};
    if (!initial.origin.empty()) json["names"] = initial.origin;
    json["matched"] = initial.matched;
    json["differing"] = Json::array();
    for (const InitialWeights::Differing& each : initial.differing) {
        json["differing"].push_back({{"name", each.own.name},
                                     {"shape", each.own.shape},
                                     {"in_file", each.theirs.name},
                                     {"shape_in_file", each.theirs.shape},
                                     {"type_in_file", each.type}});
    }
    for (const auto& [name, tensors] :
         {std::pair("missing", &initial.missing), std::pair("left_over", &initial.left_over)}) {
        json[name] = Json::array();
        for (const NamedShape& each : *tensors)
            json[name].push_back({{"name", each.name}, {"shape", each.shape}});
    }
    return dump(json);
}

std::string step_json(const ProgressState& progress) {
    Json json{{"event", "step"},
              {"step", progress.run_step},
              {"epoch", progress.epoch},
              {"loss", progress.loss}};
    json["accuracy"] = progress.accuracy ? Json(*progress.accuracy) : Json(nullptr);
    json["images_per_second"] = progress.images_per_second;
    json["seconds_left"] = progress.seconds_left;
    return dump(json);
}

std::string checkpoint_json(int64_t step) {
    return dump({{"event", "checkpoint"}, {"step", step}});
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

std::string weights_json(const std::string& path, int64_t step) {
    return dump({{"event", "weights"}, {"path", path}, {"step", step}});
}

std::string times_json(const KernelTimes& times, int64_t step) {
    Json json{{"event", "times"},
              {"step", step},
              {"samples", times.samples},
              {"seconds", times.seconds},
              {"kernels", Json::array()}};
    for (const auto& [kernel, seconds] : times.kernels)
        json["kernels"].push_back({{"kernel", kernel}, {"seconds", seconds}});
    return dump(json);
}

std::string mistakes_json(const std::vector<ShownMistake>& mistakes, int64_t step) {
    Json json{{"event", "mistakes"}, {"step", step}, {"pictures", Json::array()}};
    for (const ShownMistake& each : mistakes) {
        json["pictures"].push_back({{"picture", each.name},
                                    {"label", each.label},
                                    {"class", each.found},
                                    {"score", each.score},
                                    {"png", to_base64(each.png)}});
    }
    return dump(json);
}

std::string test_json(const Evaluation& evaluation, int64_t step) {
    Json json{{"event", "test"}, {"step", step}};
    json.update(evaluation_json(evaluation));
    return dump(json);
}

}  // namespace emulsion
