// `--trace` of the two programs: when each kernel of some calls ran, as a file of trace events
// (Chrome's JSON) that Perfetto opens (ui.perfetto.dev), as does chrome://tracing.
//
// One row holds the calls, the one below it their kernels. Of a call stands there how long its
// kernels took, and what passed between them: on a processor copies, tests and stages' own work, on
// a device what goes up and down as well. A kernel is timed by the library, on a device from its
// launch until nothing of it runs any more, so that no two overlap; a call that is not traced does
// without these waits.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace emulsion {

struct ProfileFacts;  // profile.h

// Times are nanoseconds of the steady clock.
struct TracedKernel {
    int kernel = 0;  // index into info->kernels
    int64_t begin = 0, end = 0;
};

struct TracedCall {
    int batch = 1, samples = 1;  // compiled, given
    int64_t begin = 0, end = 0;
    std::vector<TracedKernel> kernels;  // in order, none begins before the former has ended
};

// The text of the file, in which the first call begins at 0.
std::string trace_json(const ProfileFacts& facts, std::span<const TracedCall> calls);

// Throws RuntimeError.
void write_trace(const std::string& path, const ProfileFacts& facts,
                 std::span<const TracedCall> calls);

// "trace of N calls written to FILE; ui.perfetto.dev opens it".
std::string trace_written_text(const std::string& path, size_t calls);

}  // namespace emulsion
