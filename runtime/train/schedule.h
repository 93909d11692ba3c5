// Learning-rate schedules: the rate of each optimiser step as a pure function of the step's number
// and, for `plateau`, of what the validation after earlier epochs found.
//
// Nothing is carried from one step to the next, so a resumed run meets the same rates to the last
// bit. The rate is computed in double and rounded to float once, as the step functions of a network
// take a float.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace emulsion {

constexpr double kMostRate = 3e38;

enum class ScheduleKind {
    kConstant,
    kStep,
    kCosine,
    kCosineRestarts,
    kCyclic,
    kExponential,
    kLinear,
    kMultiStep,
    kOneCycle,
    kPlateau,
    kPolynomial
};

enum class ScheduleMetric { kLoss, kAccuracy };

struct Schedule {
    ScheduleKind kind = ScheduleKind::kCosine;
    double base = 0.01;        // the optimiser's rate
    double final_rate = 0.0;   // what the run, or a period, falls to
    int64_t step_size = 1000;  // steps of a period
    double gamma = 0.1;        // factor
    std::vector<int64_t> milestones = {};
    double power = 2;
    int64_t growth = 1;  // of periods
    // Shares of `base`, and of the run.
    double start = 0.1, end = 0.0, rise = 0.3;
    int64_t patience = 10, cooldown = 0;  // epochs
    double threshold = 1e-4;
    ScheduleMetric metric = ScheduleMetric::kLoss;
    int64_t warm_up = 0, warm_up_epochs = 0;
    bool in_epochs = false;  // step_size and milestones

    bool operator==(const Schedule&) const = default;
};

// As the model's functions make it without options.
Schedule default_schedule(ScheduleKind kind);

// Whether another length of the run changes the rates of its steps.
bool spans_run(ScheduleKind kind);

// Whether `final_rate` is of it.
bool has_final_rate(ScheduleKind kind);

// The same with all counts of epochs in steps.
Schedule in_steps(const Schedule& schedule, int64_t steps_per_epoch);

// The rate of optimiser step s, counted from 0, of a run of T steps. With b = base, f = final_rate,
// p = step_size, g = gamma:
//   constant         b
//   step             b * g^floor(s / p)
//   multi_step       b * g^(number of milestones <= s)
//   exponential      b * g^(s / p)
//   linear           f + (b - f) * (1 - s / T); f from T on
//   polynomial       f + (b - f) * (1 - s / T)^power; f from T on
//   cosine           f + (b - f) * (1 + cos(pi * s / T)) / 2; f from T on
//   cosine_restarts  the same in periods of p, p * growth, p * growth^2, … steps
//   cyclic           b * (start + (1 - start) * h * g^floor(s / 2p)), h rising evenly from 0 to 1
//   in
//                    p steps and falling in p
//   one_cycle        from start * b to b by step e = rise * T - 1, from b to end * b by step T - 1,
//                    each along half a cosine (Smith 2018, in PyTorch's form of two phases)
//   plateau          b
// With w steps of warm-up it is (s + 1) / w of the schedule's first rate for s < w; then the
// schedule begins, in a run of T - w steps. Counts of epochs are not looked at: see in_steps.
// REQUIRES: step >= 0, total_steps >= 1, step_size >= 1, growth >= 1.
double exact_learning_rate(const Schedule& schedule, int64_t step, int64_t total_steps);

// Where `cyclic` and `one_cycle` are on their way at step s: 0 at their lowest rates, 1 at their
// highest, between them as the rate is, and of later turns of `cyclic` times g^floor(s / 2p); 0 in
// the warm-up. The momentum of a run may go the other way (Smith 2018). REQUIRES: has_cycle(kind).
double cycle_share(const Schedule& schedule, int64_t step, int64_t total_steps);
bool has_cycle(ScheduleKind kind);

// What `plateau` makes of the values of its metric after each epoch, NaN where there is none: the
// factor of the rate from then on; 1 for the other schedules. A value is better than the best where
// it is so by more than the share `threshold` of it; NaN never is, nor does it count as worse.
double plateau_factor(const Schedule& schedule, std::span<const double> metrics);

// exact_learning_rate times the factor, as the step takes it.
float learning_rate(const Schedule& schedule, int64_t step, int64_t total_steps,
                    double factor = 1.0);

// The schedule of this name, such as "cosine", if there is one.
std::optional<ScheduleKind> find_schedule(std::string_view name);
std::string_view schedule_name(ScheduleKind kind);
// "constant, step, …, or polynomial", for messages.
std::string list_schedules();
std::optional<ScheduleMetric> find_schedule_metric(std::string_view name);
std::string_view schedule_metric_name(ScheduleMetric metric);

// One line for people, such as "cosine from 0.05 to 0" or "step from 0.1, times 0.1 every 1000
// steps", and what it warms up for.
std::string describe_schedule(const Schedule& schedule);

// A drawing in text: so many columns and rows at most, and what stands beside the first row and the
// last one.
struct Drawing {
    int width, height;
    std::string top, bottom;
};

// Numbers of 0 or more, the highest of them in the first row, 0 in the last. Each line ends in a
// line break.
std::string draw_curve(std::span<const float> values, const Drawing& drawing);

}  // namespace emulsion
