// The fields of a schedule, as checkpoints and the network's description have them.
#pragma once
#include "runtime/train/fields.h"
#include "runtime/train/schedule.h"

namespace emulsion {

constexpr int64_t kMostPeriod = INT64_MAX;

// A name that stands for a value in the file. `find` gives the value of a name.
template <typename Fields, typename Value>
void named_field(Fields& fields, const char* name, Value& value, std::string text, const char* what,
                 auto find) {
    fields(name, text);
    if constexpr (!std::is_const_v<Value>) {
        const auto found = find(text);
        if (!found) fields.refuse(concat("names an unknown ", what, " ", quoted(text)));
        value = *found;
    }
}

void list_fields(auto& fields, Is<Schedule> auto& schedule) {
    named_field(fields, "kind", schedule.kind, std::string(schedule_name(schedule.kind)),
                "schedule", find_schedule);
    fields("base", schedule.base, 0.0, kMostRate);
    fields("final", schedule.final_rate, 0.0, kMostRate);
    fields("step_size", schedule.step_size, int64_t(1), kMostPeriod);
    fields("gamma", schedule.gamma);
    fields.list_if_any("at", schedule.milestones);
    fields("power", schedule.power);
    fields("growth", schedule.growth, int64_t(1), kMostPeriod);
    fields("start", schedule.start, 0.0, 1.0);
    fields("rise", schedule.rise, 0.0, 1.0);
    fields("end", schedule.end, 0.0, 1.0);
    fields("patience", schedule.patience, int64_t(0), kMostPeriod);
    fields("cooldown", schedule.cooldown, int64_t(0), kMostPeriod);
    fields("threshold", schedule.threshold, 0.0, 1.0);
    named_field(fields, "metric", schedule.metric,
                std::string(schedule_metric_name(schedule.metric)), "metric", find_schedule_metric);
    fields("warm_up", schedule.warm_up, int64_t(0), kMostPeriod);
    fields("warm_up_epochs", schedule.warm_up_epochs, int64_t(0), kMostPeriod);
    fields("in_epochs", schedule.in_epochs);
}

}  // namespace emulsion
