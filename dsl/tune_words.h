// What the reports of a tuner say alike.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "runtime/support/machine_speed.h"
#include "schedules/tune/tuner.h"

namespace emulsion {

std::string time_text(double us);  // "41.3 us", "1.417 ms"

// Default time over that of the record; 1 without one.
double gain_of(const TunedKernel& kernel);

const char* step_words(bool training);  // "a step of training", "an inference"

// Of each direction that calls the kernels, that of training first: a step's time over that with
// the records. Kernels add up, and those not named stay as they are.
std::map<bool, double, std::greater<>> gains_of(const std::vector<TunedKernel>& kernels);
// "a step of training 1.003, an inference 1.048 times as fast"; empty where there is no kernel.
std::string gains_text(const std::vector<TunedKernel>& kernels);

// Shares of what the machine does at most: of its multiply-adds, counted by the op's plain
// definition (Winograd may pass 1), and of the bytes that it reads and writes within blocks as
// large as the kernel's tensors, each of which counts once.
struct KernelRates {
    double peak = 0, memory = 0;
};
KernelRates rates_of(const TunedKernel& kernel, double us, const MachineSpeed& machine);

// "62 % to 71 %": such shares before and after, each where it is known.
std::string change_of(double before, double after);

// measure_machine, less exact in a third of its time; ends at once where a signal comes. Throws
// Interrupted.
MachineSpeed measure_speed(const Isa& isa, int threads);

}  // namespace emulsion
