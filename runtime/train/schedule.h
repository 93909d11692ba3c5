// Learning-rate schedules: the rate of each optimiser step as a pure function of the step's number.
//
// Nothing is carried from one step to the next, so a resumed run meets the same rates to the last
// bit. The rate is computed in double and rounded to float once, as the step functions of a network
// take a float.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace emulsion {

enum class ScheduleKind { kConstant, kStep, kCosine };

struct Schedule {
    ScheduleKind kind = ScheduleKind::kCosine;
    double base = 0.01;        // rate of the first step
    double final_rate = 0.0;   // cosine: the rate that the run approaches at its end
    int64_t step_size = 1000;  // step: optimiser steps between two drops
    double gamma = 0.1;        // step: factor of one drop
};

// The rate of optimiser step `step`, counted from 0, of a run of `total_steps`:
//   constant  base
//   step      base * gamma^floor(step / step_size)
//   cosine    final + (base - final) * (1 + cos(pi * step / total_steps)) / 2; final from
//   total_steps on
// REQUIRES: step >= 0, total_steps >= 1, step_size >= 1.
double exact_learning_rate(const Schedule& schedule, int64_t step, int64_t total_steps);
float learning_rate(const Schedule& schedule, int64_t step, int64_t total_steps);

// The schedule called "constant", "step" or "cosine", if it is one of them.
std::optional<ScheduleKind> find_schedule(std::string_view name);
std::string_view schedule_name(ScheduleKind kind);

// One line for people, such as "cosine from 0.05 to 0" or "step from 0.1, times 0.1 every 1000
// steps".
std::string describe_schedule(const Schedule& schedule);

}  // namespace emulsion
