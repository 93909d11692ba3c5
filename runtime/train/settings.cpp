// See settings.h.
#include "runtime/train/settings.h"

#include <algorithm>

#include "runtime/support/text.h"

namespace emulsion {

namespace {

// Refuses an option that differs from the checkpoint.
template <typename Given, typename Stored>
void check_equal(const char* option, const Given& given, const Stored& stored) {
    if (given == stored) return;
    throw UsageError(option, concat("is ", given, ", but the run of the checkpoint has ", stored),
                     "leave the option out with --resume, or begin a new run in another folder");
}

// A rate below the one that the schedule falls to would rise through the run.
void check_falls(const Schedule& schedule) {
    if (schedule.kind != ScheduleKind::kCosine || schedule.base >= schedule.final_rate) return;
    throw UsageError(
        "--learning-rate",
        concat("is ", schedule.base, ", but the network's cosine schedule ends at ",
               schedule.final_rate, ", so the rate would rise"),
        concat("give a rate of at least ", schedule.final_rate, ", or add --schedule constant"));
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
    const std::optional<ScheduleKind> kind = find_schedule(network.schedule);
    if (!kind) {
        throw RuntimeError("network description",
                           concat("names an unknown schedule ", quoted(network.schedule)),
                           "build the program anew with the compiler that its runtime belongs to");
    }
    schedule.kind = options.schedule.value_or(*kind);
    schedule.base = options.learning_rate.value_or(network.learning_rate);
    schedule.final_rate = network.final_rate;
    schedule.step_size = std::max<int64_t>(1, network.step_size);
    schedule.gamma = network.gamma;
    if (options.learning_rate) check_falls(schedule);
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

}  // namespace emulsion
