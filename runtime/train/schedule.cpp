// See schedule.h. The powers of `step` are taken by repeated multiplication, so that they do not
// depend on libm.
#include "runtime/train/schedule.h"

#include <cmath>
#include <numbers>

#include "runtime/support/text.h"

namespace emulsion {

namespace {

double power(double factor, int64_t exponent) {
    double result = 1.0;
    while (exponent > 0) {
        if (exponent & 1) result *= factor;
        factor *= factor;
        exponent >>= 1;
    }
    return result;
}

}  // namespace

double exact_learning_rate(const Schedule& schedule, int64_t step, int64_t total_steps) {
    switch (schedule.kind) {
        case ScheduleKind::kConstant:
            return schedule.base;
        case ScheduleKind::kStep:
            return schedule.base * power(schedule.gamma, step / schedule.step_size);
        case ScheduleKind::kCosine: {
            if (step >= total_steps) return schedule.final_rate;
            const double share = static_cast<double>(step) / static_cast<double>(total_steps);
            const double weight = 0.5 * (1.0 + std::cos(std::numbers::pi * share));
            return schedule.final_rate + (schedule.base - schedule.final_rate) * weight;
        }
    }
    return schedule.base;
}

float learning_rate(const Schedule& schedule, int64_t step, int64_t total_steps) {
    return static_cast<float>(exact_learning_rate(schedule, step, total_steps));
}

std::optional<ScheduleKind> find_schedule(std::string_view name) {
    for (ScheduleKind kind :
         {ScheduleKind::kConstant, ScheduleKind::kStep, ScheduleKind::kCosine}) {
        if (name == schedule_name(kind)) return kind;
    }
    return std::nullopt;
}

std::string_view schedule_name(ScheduleKind kind) {
    switch (kind) {
        case ScheduleKind::kConstant:
            return "constant";
        case ScheduleKind::kStep:
            return "step";
        case ScheduleKind::kCosine:
            return "cosine";
    }
    return "";
}

std::string describe_schedule(const Schedule& schedule) {
    switch (schedule.kind) {
        case ScheduleKind::kConstant:
            return concat("constant at ", schedule.base);
        case ScheduleKind::kStep:
            return concat("step from ", schedule.base, ", times ", schedule.gamma, " every ",
                          schedule.step_size, " steps");
        case ScheduleKind::kCosine:
            return concat("cosine from ", schedule.base, " to ", schedule.final_rate);
    }
    return "";
}

}  // namespace emulsion
