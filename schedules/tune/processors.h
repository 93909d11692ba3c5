// Which processors timed kernels run on, and which are left to compile on meanwhile.
#pragma once

#include <vector>

namespace emulsion {

// Processors of one core share its units, so a core is for one thing.
using Cores = std::vector<std::vector<int>>;

// Those that this thread may run on, in order.
Cores allowed_cores();

struct ProcessorShares {
    std::vector<int> timing, spare;
};
// A core for each of `threads`; what is left is spare, at most `jobs` processors of it, and no more
// than `worth` processors in all are used (a control group's quota may be less than the cores).
// Whole cores without spare processors are for timing.
ProcessorShares share_processors(const Cores& cores, int threads, int jobs, int worth);

// This thread and those that it starts run there from now on. REQUIRES: not empty.
void run_on(const std::vector<int>& processors);

}  // namespace emulsion
