// See settings.h.
#include "runtime/train/settings.h"

#include <algorithm>
#include <utility>

#include "runtime/support/text.h"
#include "runtime/train/schedule_fields.h"

namespace emulsion {

namespace {

// Refuses an option that differs from the checkpoint.
template <typename Given, typename Stored>
void check_equal(const char* option, const Given& given, const Stored& stored) {
    if (given == stored) return;
    throw UsageError(option, concat("is ", given, ", but the run of the checkpoint has ", stored),
                     "leave the option out with --resume, or begin a new run in another folder");
}

// "0.85:0.95", or "none".
std::string cycle_text(const std::optional<double>& low, const std::optional<double>& high) {
    return low && high ? concat(*low, ":", *high) : "none";
}

// A rate below the one that the schedule falls to would rise through the run.
void check_falls(const Schedule& schedule) {
    if (!has_final_rate(schedule.kind) || schedule.base >= schedule.final_rate) return;
    throw UsageError(
        "--learning-rate",
        concat("is ", schedule.base, ", but the network's ", schedule_name(schedule.kind),
               " schedule ends at ", schedule.final_rate, ", so the rate would rise"),
        concat("give a rate of at least ", schedule.final_rate, ", or add --schedule constant"));
}

// What the schedule looks at must be there.
void check_validation(const RunSettings& settings) {
    if (settings.schedule.kind != ScheduleKind::kPlateau || !settings.validation.empty()) return;
    throw UsageError("--validation",
                     "is missing, but the plateau schedule lowers the rate by what it finds",
                     "add --validation 0.1, or --schedule constant");
}

// The momentum goes against a rate that rises and falls.
void check_cycle(const RunSettings& settings) {
    if (!settings.lowest_momentum || has_cycle(settings.schedule.kind)) return;
    throw UsageError("--cycle-momentum",
                     concat("goes against the rates of one_cycle and cyclic, but the schedule is ",
                            schedule_name(settings.schedule.kind)),
                     "add --schedule one_cycle, or leave it out");
}

// The schedule that the network was built with; what its description leaves out is as it is by
// default.
Schedule schedule_of(const NetworkDescription& network) {
    const char* where = "network description";
    const char* fix = "build the program anew with the compiler that its runtime belongs to";
    const std::optional<ScheduleKind> kind = find_schedule(network.schedule);
    if (!kind) {
        throw RuntimeError(where, concat("names an unknown schedule ", quoted(network.schedule)),
                           fix);
    }
    Schedule schedule = default_schedule(*kind);
    FieldWriter writer;
    list_fields(writer, std::as_const(schedule));
    auto json = nlohmann::json::parse(writer.text());
    json.update(nlohmann::json::parse(network.schedule_fields));
    FieldReader reader(json, where, fix);
    list_fields(reader, schedule);
    schedule.base = network.learning_rate;
    return schedule;
}

// The schedule of the option: that of the network where it has this kind, else as it is by default,
// behind the network's warm-up.
Schedule chosen_schedule(ScheduleKind kind, const Schedule& network) {
    if (kind == network.kind) return network;
    if (kind == ScheduleKind::kMultiStep) {
        throw UsageError("--schedule", "multi_step needs the steps to fall at",
                         "name them in the model, with multi_step_rate({.at = {…}})");
    }
    Schedule schedule = default_schedule(kind);
    schedule.base = network.base;
    schedule.warm_up = network.warm_up;
    schedule.warm_up_epochs = network.warm_up_epochs;
    return schedule;
}

}  // namespace

Schedule RunSettings::rates(uint64_t steps_per_epoch) const {
    return in_steps(schedule, static_cast<int64_t>(steps_per_epoch));
}

int64_t RunSettings::total_steps(uint64_t steps_per_epoch) const {
    return steps > 0 ? steps : epochs * static_cast<int64_t>(steps_per_epoch);
}

RunSettings new_settings(const TrainOptions& options, const emulsion_info& info,
                         const NetworkDescription& network) {
    RunSettings settings;
    settings.data = options.data;
    settings.images = options.images;
    settings.labels = options.labels;
    if (options.reading.rule) settings.resize = to_text(*options.reading.rule);
    settings.scale = options.reading.scale.value_or(1.0);
    settings.split = options.split == kLeadingSplit ? kLeadingSplit : "";
    if (!options.no_augment) settings.augmentation = to_text(network.augmentation);
    settings.boxes = options.boxes;
    settings.epochs = options.epochs.value_or(network.default_epochs);
    settings.steps = options.steps.value_or(0);
    settings.batch = options.batch.value_or(info.batch);
    settings.part = std::min(settings.batch, info.batch);
    settings.seed = options.seed.value_or(1);
    settings.validation = options.validation.value_or("");
    settings.best = options.best.value_or("");
    settings.patience = options.patience.value_or(0);
    settings.keep = options.keep.value_or(0);
    settings.ema = options.ema.value_or(0.0);
    settings.top = options.top.value_or(0);
    settings.confusion = options.confusion;
    settings.momentum = options.momentum;
    settings.weight_decay = options.weight_decay;
    settings.lowest_momentum = options.lowest_momentum;
    settings.highest_momentum = options.highest_momentum;
    Schedule& schedule = settings.schedule;
    schedule = schedule_of(network);
    if (options.schedule) schedule = chosen_schedule(*options.schedule, schedule);
    schedule.base = options.learning_rate.value_or(schedule.base);
    if (options.learning_rate) check_falls(schedule);
    check_validation(settings);
    check_cycle(settings);
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
    if (options.ema) check_equal("--ema", *options.ema, stored.ema);
    if (options.best)
        check_equal("--best", *options.best, stored.best.empty() ? "none" : stored.best);
    if (options.patience && stored.best.empty()) {
        throw UsageError(
            "--patience",
            "needs a validation after every epoch, but the run of the checkpoint has "
            "none",
            "leave the option out with --resume, or begin a new run in another folder");
    }
    if (options.reading.rule) {
        check_equal("--resize", to_text(*options.reading.rule),
                    stored.resize.empty() ? "none" : stored.resize);
    }
    if (options.reading.scale) check_equal("--scale", *options.reading.scale, stored.scale);
    if (options.split) {
        check_equal("--split", *options.split, stored.split.empty() ? kRandomSplit : stored.split);
    }
    if (options.no_augment && !stored.augmentation.empty()) {
        throw UsageError(
            "--no-augment",
            concat("is given, but the run of the checkpoint augments its pictures by ",
                   one_line(stored.augmentation)),
            "leave the option out with --resume, or begin a new run in another folder");
    }
    if (options.lowest_momentum) {
        check_equal("--cycle-momentum",
                    cycle_text(options.lowest_momentum, options.highest_momentum),
                    cycle_text(stored.lowest_momentum, stored.highest_momentum));
    }
    if (options.boxes) check_equal("--boxes", "given", stored.boxes ? "given" : "none");
    RunSettings settings = stored;
    if (!options.data.empty() || !options.images.empty()) {
        settings.data = options.data;
        settings.images = options.images;
        settings.labels = options.labels;
    }
    settings.patience = options.patience.value_or(stored.patience);
    settings.keep = options.keep.value_or(stored.keep);
    settings.top = options.top.value_or(stored.top);
    settings.confusion = options.confusion || stored.confusion;
    if (options.epochs) settings.epochs = *options.epochs, settings.steps = 0;
    if (options.steps) settings.steps = *options.steps;
    return settings;
}

}  // namespace emulsion
