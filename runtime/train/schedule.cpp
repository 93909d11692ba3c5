// See schedule.h. Powers of whole exponents are taken by repeated multiplication, so that they do
// not depend on libm.
#include "runtime/train/schedule.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include "runtime/program/format.h"
#include "runtime/support/text.h"

namespace emulsion {

namespace {

constexpr std::array<std::pair<ScheduleKind, std::string_view>, 11> kNames{{
    {ScheduleKind::kConstant, "constant"},
    {ScheduleKind::kStep, "step"},
    {ScheduleKind::kMultiStep, "multi_step"},
    {ScheduleKind::kExponential, "exponential"},
    {ScheduleKind::kLinear, "linear"},
    {ScheduleKind::kPolynomial, "polynomial"},
    {ScheduleKind::kCosine, "cosine"},
    {ScheduleKind::kCosineRestarts, "cosine_restarts"},
    {ScheduleKind::kCyclic, "cyclic"},
    {ScheduleKind::kOneCycle, "one_cycle"},
    {ScheduleKind::kPlateau, "plateau"},
}};

constexpr int64_t kNever = std::numeric_limits<int64_t>::max() / 4;

double power(double factor, int64_t exponent) {
    double result = 1.0;
    while (exponent > 0) {
        if (exponent & 1) result *= factor;
        factor *= factor;
        exponent >>= 1;
    }
    return result;
}

// The product, or what is more than any run has.
int64_t times(int64_t count, int64_t factor) {
    return count > kNever / factor ? kNever : count * factor;
}

double share_of(int64_t step, int64_t steps) {
    return static_cast<double>(step) / static_cast<double>(steps);
}

// From `first` at share 0 to `last` at share 1, along half a cosine.
double on_cosine(double first, double last, double share) {
    return last + (first - last) * (0.5 * (1.0 + std::cos(std::numbers::pi * share)));
}

double restarts(const Schedule& schedule, int64_t step) {
    int64_t period = schedule.step_size;
    while (step >= period) {
        step -= period;
        if (schedule.growth == 1) step %= period;
        period = times(period, schedule.growth);
    }
    return on_cosine(schedule.base, schedule.final_rate, share_of(step, period));
}

// A place of a triangular wave: from 0 to 1 and back.
struct Wave {
    double height, scale;  // of this turn
};

Wave wave_of(const Schedule& schedule, int64_t step) {
    const int64_t half = schedule.step_size, cycle = step / 2 / half,
                  place = step - cycle * 2 * half;
    return {share_of(place <= half ? place : 2 * half - place, half), power(schedule.gamma, cycle)};
}

double cyclic(const Schedule& schedule, int64_t step) {
    const Wave wave = wave_of(schedule, step);
    const double swing = (1.0 - schedule.start) * wave.scale;
    return schedule.base * (schedule.start + swing * wave.height);
}

// What goes from `first` to `top` and on to `end` in the two phases.
double one_cycle(const Schedule& schedule, int64_t step, int64_t total_steps, double first,
                 double top, double end) {
    const double top_step = schedule.rise * static_cast<double>(total_steps) - 1.0;
    const auto last = static_cast<double>(total_steps - 1);
    const auto place = static_cast<double>(std::min(step, total_steps - 1));
    if (top_step > 0.0 && place <= top_step) return on_cosine(first, top, place / top_step);
    const double from = std::max(top_step, 0.0);
    if (last <= from) return top;
    return on_cosine(top, end, (place - from) / (last - from));
}

// Without warm-up.
double rate_of(const Schedule& schedule, int64_t step, int64_t total_steps) {
    const double base = schedule.base, fall = base - schedule.final_rate;
    const bool is_over = step >= total_steps;
    const double share = is_over ? 1.0 : share_of(step, total_steps);
    switch (schedule.kind) {
        case ScheduleKind::kConstant:
        case ScheduleKind::kPlateau:
            return base;
        case ScheduleKind::kStep:
            return base * power(schedule.gamma, step / schedule.step_size);
        case ScheduleKind::kMultiStep: {
            const auto passed = std::ranges::upper_bound(schedule.milestones, step);
            return base * power(schedule.gamma, passed - schedule.milestones.begin());
        }
        case ScheduleKind::kExponential:
            return base * std::pow(schedule.gamma, share_of(step, schedule.step_size));
        case ScheduleKind::kLinear:
            return schedule.final_rate + fall * (1.0 - share);
        case ScheduleKind::kPolynomial:
            return is_over ? schedule.final_rate
                           : schedule.final_rate + fall * std::pow(1.0 - share, schedule.power);
        case ScheduleKind::kCosine:
            return is_over ? schedule.final_rate : on_cosine(base, schedule.final_rate, share);
        case ScheduleKind::kCosineRestarts:
            return restarts(schedule, step);
        case ScheduleKind::kCyclic:
            return cyclic(schedule, step);
        case ScheduleKind::kOneCycle:
            return one_cycle(schedule, step, total_steps, schedule.start * base, base,
                             schedule.end * base);
    }
    return base;
}

}  // namespace

Schedule in_steps(const Schedule& schedule, int64_t steps_per_epoch) {
    Schedule result = schedule;
    result.warm_up =
        std::min(kNever, schedule.warm_up) + times(schedule.warm_up_epochs, steps_per_epoch);
    result.warm_up_epochs = 0;
    result.step_size = std::min(kNever, schedule.step_size);
    if (!schedule.in_epochs) return result;
    result.in_epochs = false;
    result.step_size = times(schedule.step_size, steps_per_epoch);
    for (int64_t& step : result.milestones) step = times(step, steps_per_epoch);
    return result;
}

Schedule default_schedule(ScheduleKind kind) {
    Schedule schedule;
    schedule.kind = kind;
    if (kind == ScheduleKind::kCyclic) schedule.gamma = 1.0;
    if (kind == ScheduleKind::kOneCycle) schedule.start = 0.04, schedule.end = 4e-6;
    return schedule;
}

bool spans_run(ScheduleKind kind) {
    return kind == ScheduleKind::kCosine || kind == ScheduleKind::kLinear ||
           kind == ScheduleKind::kPolynomial || kind == ScheduleKind::kOneCycle;
}

bool has_final_rate(ScheduleKind kind) {
    return kind == ScheduleKind::kCosine || kind == ScheduleKind::kLinear ||
           kind == ScheduleKind::kPolynomial || kind == ScheduleKind::kCosineRestarts;
}

double exact_learning_rate(const Schedule& schedule, int64_t step, int64_t total_steps) {
    const int64_t first = schedule.warm_up, rest = std::max<int64_t>(1, total_steps - first);
    if (step >= first) return rate_of(schedule, step - first, rest);
    return rate_of(schedule, 0, rest) * share_of(step + 1, first);
}

bool has_cycle(ScheduleKind kind) {
    return kind == ScheduleKind::kCyclic || kind == ScheduleKind::kOneCycle;
}

double cycle_share(const Schedule& schedule, int64_t step, int64_t total_steps) {
    const int64_t first = schedule.warm_up, rest = std::max<int64_t>(1, total_steps - first);
    if (step < first) return 0.0;
    if (schedule.kind == ScheduleKind::kOneCycle)
        return one_cycle(schedule, step - first, rest, 0.0, 1.0, 0.0);
    const Wave wave = wave_of(schedule, step - first);
    return wave.height * wave.scale;
}

double plateau_factor(const Schedule& schedule, std::span<const double> metrics) {
    if (schedule.kind != ScheduleKind::kPlateau) return 1.0;
    const double sign = schedule.metric == ScheduleMetric::kLoss ? 1.0 : -1.0;
    std::optional<double> best;
    double factor = 1.0;
    int64_t bad = 0, resting = 0;
    for (double metric : metrics) {
        const double value = sign * metric;
        if (std::isnan(value)) continue;
        const bool is_better = !best || value < *best - schedule.threshold * std::fabs(*best);
        if (is_better) best = value;
        bad = is_better ? 0 : bad + 1;
        if (resting > 0) resting--, bad = 0;
        if (bad <= schedule.patience) continue;
        factor = std::max(factor * schedule.gamma, schedule.end);
        resting = schedule.cooldown;
        bad = 0;
    }
    return factor;
}

float learning_rate(const Schedule& schedule, int64_t step, int64_t total_steps, double factor) {
    return static_cast<float>(exact_learning_rate(schedule, step, total_steps) * factor);
}

std::optional<ScheduleKind> find_schedule(std::string_view name) {
    for (const auto& [kind, known] : kNames) {
        if (name == known) return kind;
    }
    return std::nullopt;
}

std::string_view schedule_name(ScheduleKind kind) {
    for (const auto& [known, name] : kNames) {
        if (kind == known) return name;
    }
    return "";
}

std::string list_schedules() {
    std::string text;
    for (const auto& [kind, name] : kNames) {
        if (kind == kNames.back().first) {
            text += " or ";
        } else if (!text.empty()) {
            text += ", ";
        }
        text += name;
    }
    return text;
}

std::optional<ScheduleMetric> find_schedule_metric(std::string_view name) {
    for (ScheduleMetric metric : {ScheduleMetric::kLoss, ScheduleMetric::kAccuracy}) {
        if (name == schedule_metric_name(metric)) return metric;
    }
    return std::nullopt;
}

std::string_view schedule_metric_name(ScheduleMetric metric) {
    return metric == ScheduleMetric::kLoss ? "loss" : "accuracy";
}

namespace {

std::string count_text(int64_t count, const char* one, const char* many) {
    return concat(count, " ", count == 1 ? one : many);
}

// "1000 steps", "3 epochs".
std::string period_text(const Schedule& schedule) {
    return schedule.in_epochs ? count_text(schedule.step_size, "epoch", "epochs")
                              : count_text(schedule.step_size, "step", "steps");
}

std::string list_text(const std::vector<int64_t>& numbers) {
    std::string text;
    for (size_t i = 0; i < numbers.size(); i++) {
        if (i > 0) text += i + 1 == numbers.size() ? " and " : ", ";
        text += concat(numbers[i]);
    }
    return text;
}

std::string form_text(const Schedule& schedule) {
    const double base = schedule.base;
    const std::string name(schedule_name(schedule.kind)), from = concat(name, " from ", base);
    switch (schedule.kind) {
        case ScheduleKind::kConstant:
            return concat(name, " at ", base);
        case ScheduleKind::kStep:
            return concat(from, ", times ", schedule.gamma, " every ", period_text(schedule));
        case ScheduleKind::kMultiStep:
            return concat(from, ", times ", schedule.gamma, " at ",
                          schedule.in_epochs ? "epochs " : "steps ",
                          list_text(schedule.milestones));
        case ScheduleKind::kExponential:
            return concat(from, ", times ", schedule.gamma, " over ", period_text(schedule));
        case ScheduleKind::kLinear:
        case ScheduleKind::kCosine:
            return concat(from, " to ", schedule.final_rate);
        case ScheduleKind::kPolynomial:
            return concat(from, " to ", schedule.final_rate, ", power ", schedule.power);
        case ScheduleKind::kCosineRestarts:
            return concat(
                from, " to ", schedule.final_rate, " in ", period_text(schedule), ", then anew",
                schedule.growth > 1 ? concat(" over ", schedule.growth, " times as many") : "");
        case ScheduleKind::kCyclic:
            return concat(name, " from ", schedule.start * base, " to ", base, " and back, ",
                          period_text(schedule), " each way",
                          schedule.gamma != 1 ? concat(", each cycle times ", schedule.gamma) : "");
        case ScheduleKind::kOneCycle:
            return concat(name, " from ", schedule.start * base, " to ", base, " in ",
                          schedule.rise, " of the run, then to ", schedule.end * base);
        case ScheduleKind::kPlateau:
            return concat(from, ", times ", schedule.gamma, " after more than ",
                          count_text(schedule.patience, "epoch", "epochs"), " without a better ",
                          schedule_metric_name(schedule.metric), " of the validation");
    }
    return name;
}

}  // namespace

std::string describe_schedule(const Schedule& schedule) {
    std::string warm_up;
    if (schedule.warm_up > 0) warm_up = count_text(schedule.warm_up, "step", "steps");
    if (schedule.warm_up_epochs > 0) {
        warm_up += concat(warm_up.empty() ? "" : " and ",
                          count_text(schedule.warm_up_epochs, "epoch", "epochs"));
    }
    return warm_up.empty() ? form_text(schedule)
                           : concat(form_text(schedule), ", behind a warm-up of ", warm_up);
}

std::string draw_curve(std::span<const float> values, const Drawing& drawing) {
    const float highest = *std::ranges::max_element(values);
    const auto columns = std::min(static_cast<size_t>(drawing.width), values.size());
    const auto last = static_cast<size_t>(drawing.height - 1);
    std::vector<std::string> rows(last + 1, std::string(columns, ' '));
    for (size_t column = 0; column < columns; column++) {
        const size_t i = columns == 1 ? 0 : column * (values.size() - 1) / (columns - 1);
        const float share = highest > 0.0f ? values[i] / highest : 0.0f;
        const long row = std::lround((1.0f - share) * static_cast<float>(last));
        rows[std::min(static_cast<size_t>(row), last)][column] = '*';
    }
    const size_t width = std::max(drawing.top.size(), drawing.bottom.size());
    std::string text;
    for (size_t row = 0; row <= last; row++) {
        const std::string label = row == 0 ? drawing.top : row == last ? drawing.bottom : "";
        rows[row].resize(rows[row].find_last_not_of(' ') + 1);
        text += pad_left(label, width) + " |" + rows[row] + "\n";
    }
    return text;
}

}  // namespace emulsion
