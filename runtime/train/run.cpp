// See run.h.
#include "runtime/train/run.h"

#include <zlib.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "runtime/support/error.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

using Json = nlohmann::ordered_json;

Json to_json(const Metrics& metrics) {
    return {
        {"loss_sum", metrics.loss_sum}, {"correct", metrics.correct}, {"samples", metrics.samples}};
}

Metrics read_metrics(const Json& json) {
    return {json.at("loss_sum").get<double>(), json.at("correct").get<double>(),
            json.at("samples").get<int64_t>()};
}

Json to_json(const RunSettings& settings) {
    const Schedule& schedule = settings.schedule;
    return {{"data", settings.data},
            {"epochs", settings.epochs},
            {"steps", settings.steps},
            {"batch", settings.batch},
            {"seed", settings.seed},
            {"validation", settings.validation},
            {"schedule",
             {{"kind", schedule_name(schedule.kind)},
              {"base", schedule.base},
              {"final", schedule.final_rate},
              {"step_size", schedule.step_size},
              {"gamma", schedule.gamma}}}};
}

RunSettings read_settings(const Json& json) {
    RunSettings settings;
    json.at("data").get_to(settings.data);
    json.at("epochs").get_to(settings.epochs);
    json.at("steps").get_to(settings.steps);
    json.at("batch").get_to(settings.batch);
    json.at("seed").get_to(settings.seed);
    json.at("validation").get_to(settings.validation);
    const Json& schedule = json.at("schedule");
    parse_schedule_kind(schedule.at("kind").get<std::string>(), &settings.schedule.kind);
    schedule.at("base").get_to(settings.schedule.base);
    schedule.at("final").get_to(settings.schedule.final_rate);
    schedule.at("step_size").get_to(settings.schedule.step_size);
    schedule.at("gamma").get_to(settings.schedule.gamma);
    return settings;
}

Json to_json(const EpochRecord& record) {
    Json json{{"epoch", record.epoch},
              {"metrics", to_json(record.metrics)},
              {"rate", record.learning_rate}};
    if (record.validation) {
        json["validation"] = to_json(record.validation->metrics);
        json["validation_has_loss"] = record.validation->has_loss;
        json["validation_not_finite"] = record.validation->not_finite;
    }
    return json;
}

EpochRecord read_record(const Json& json) {
    EpochRecord record;
    json.at("epoch").get_to(record.epoch);
    record.metrics = read_metrics(json.at("metrics"));
    json.at("rate").get_to(record.learning_rate);
    if (json.contains("validation")) {
        record.validation = Evaluation{read_metrics(json.at("validation")),
                                       json.at("validation_has_loss").get<bool>(),
                                       json.at("validation_not_finite").get<int64_t>()};
    }
    return record;
}

// Refuses an option that differs from the checkpoint.
template <typename Given, typename Stored>
void check_equal(const char* option, const Given& given, const Stored& stored) {
    if (given == stored) return;
    throw UsageError(option, concat("is ", given, ", but the run of the checkpoint has ", stored),
                     "leave the option out with --resume, or begin a new run in another folder");
}

}  // namespace

int64_t RunSettings::total_steps(uint64_t steps_per_epoch) const {
    return steps > 0 ? steps : epochs * static_cast<int64_t>(steps_per_epoch);
}

RunSettings new_settings(const TrainOptions& options, const emulsion_info& info,
                         const NetworkDescription& network) {
    RunSettings settings;
    settings.data = options.data;
    settings.epochs = options.epochs.value_or(network.default_epochs);
    settings.steps = options.steps.value_or(0);
    settings.batch = options.batch.value_or(info.batch);
    settings.seed = options.seed.value_or(1);
    settings.validation = options.validation.value_or("");
    Schedule& schedule = settings.schedule;
    if (!parse_schedule_kind(network.schedule, &schedule.kind)) {
        throw RuntimeError("network description",
                           concat("names an unknown schedule ", quoted(network.schedule)),
                           "build the program anew with the compiler that its runtime belongs to");
    }
    schedule.kind = options.schedule.value_or(schedule.kind);
    schedule.base = options.learning_rate.value_or(network.learning_rate);
    schedule.final_rate = network.final_rate;
    schedule.step_size = std::max<int64_t>(1, network.step_size);
    schedule.gamma = network.gamma;
    return settings;
}

RunSettings resumed_settings(const RunSettings& stored, const TrainOptions& options) {
    if (options.batch) check_equal("--batch", *options.batch, stored.batch);
    if (options.seed) check_equal("--seed", *options.seed, stored.seed);
    if (options.learning_rate)
        check_equal("--learning-rate", *options.learning_rate, stored.schedule.base);
    if (options.schedule) {
        check_equal("--schedule", schedule_name(*options.schedule),
                    schedule_name(stored.schedule.kind));
    }
    if (options.validation) {
        check_equal("--validation", *options.validation,
                    stored.validation.empty() ? "none" : stored.validation);
    }
    RunSettings settings = stored;
    if (!options.data.empty()) settings.data = options.data;
    if (options.epochs) settings.epochs = *options.epochs, settings.steps = 0;
    if (options.steps) settings.steps = *options.steps;
    return settings;
}

uint32_t checksum_of(const Dataset& dataset) {
    uLong sum = crc32_z(0, dataset.pixels.data(), dataset.pixels.size());
    sum = crc32_z(sum, reinterpret_cast<const Bytef*>(dataset.labels.data()),
                  dataset.labels.size() * sizeof(int32_t));
    return static_cast<uint32_t>(sum);
}

void check_same_data(const RunState& state, const Dataset& dataset) {
    const uint32_t checksum = checksum_of(dataset);
    if (dataset.count() == state.data_samples && checksum == state.data_checksum) return;
    throw RuntimeError(dataset.source,
                       concat("holds ", dataset.count(), " pictures with checksum ", checksum,
                              ", but the run of the checkpoint began with ", state.data_samples,
                              " pictures with checksum ", state.data_checksum),
                       "give the data of that run, or begin a new run in another folder");
}

RunPosition to_position(const RunState& state) {
    Json json{{"settings", to_json(state.settings)},
              {"data_samples", state.data_samples},
              {"data_checksum", state.data_checksum},
              {"sums", to_json(state.sums)},
              {"history", Json::array()}};
    for (const EpochRecord& record : state.history) json["history"].push_back(to_json(record));
    return {state.epoch, state.batch, state.step, state.settings.seed,
            json.dump(-1, ' ', false, Json::error_handler_t::replace)};
}

RunState from_position(const RunPosition& position) {
    RunState state;
    try {
        const Json json = Json::parse(position.metrics);
        state.settings = read_settings(json.at("settings"));
        json.at("data_samples").get_to(state.data_samples);
        json.at("data_checksum").get_to(state.data_checksum);
        state.sums = read_metrics(json.at("sums"));
        for (const Json& record : json.at("history")) state.history.push_back(read_record(record));
    } catch (const Json::exception& error) {
        throw RuntimeError("checkpoint", concat("its position cannot be read: ", error.what()),
                           "resume with the program that has written it");
    }
    state.epoch = position.epoch;
    state.batch = position.batch;
    state.step = position.step;
    return state;
}

}  // namespace emulsion
