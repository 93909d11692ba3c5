// What is timed and how, in the forked processes of the workbench: pairs of runs in turn, A B B A,
// so that what drifts meets both alike. Pairs during which other work took the processors do not
// count, unless there are too few others: then all count, and the times are contended.
//
// A kernel alone is timed with caches as a step leaves them. Its tensors are taken from copies in
// turn, together as large as what a step works on, up to twice the last cache: a call finds its
// tensors where that many bytes have passed since they were touched. What the kernel before has
// just written is warmer in a step than here; a step itself tells (NetworkSession).
#pragma once

#include <string>
#include <string_view>

#include "schedules/tune/kernel_session.h"
#include "schedules/tune/network_session.h"
#include "schedules/tune/workbench.h"

namespace emulsion {

// Times kernel 1 of the session against kernel 0, each on the next of `tensors`.
PairedTimes time_pairs(KernelSession& session, int64_t samples, RotatingTensors& tensors,
                       const Effort& effort);

// Times the libraries of the session, one or two. `kernel_of[k]` has the plan's kernel for each
// entry of library k's info, of `kernels` ones: the most of a plan.
StepTimes time_steps(NetworkSession& session, const std::vector<std::vector<int>>& kernel_of,
                     size_t kernels, const Effort& effort);

// Through a pipe.
std::string pack(const PairedTimes& times);
PairedTimes unpack_pairs(std::string_view text);
std::string pack(const StepTimes& times);
StepTimes unpack_steps(std::string_view text);

// The bytes of copies that a kernel of a network is timed with.
int64_t rotated_bytes(int64_t step_bytes);

}  // namespace emulsion
