// `--profile` of the two programs: how long every kernel of a call takes, as a table, or as the
// file that `emulsion show MODEL --emit=roofline --profile=FILE` reads (compiler/plan/profile.h
// says what stands in it).
//
// The time of a kernel is the median over the calls after the first ones (warm-up), of calls with
// one number of samples only: the last part batch of an epoch is left out. The file also holds what
// the machine, with as many threads, or the device does at most, measured right afterwards. On a
// device a kernel is waited for before the next one starts, and its time, on the host's clock, is
// that of launch, run and wait.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/abi/emulsion_abi.h"
#include "runtime/program/device.h"
#include "runtime/program/trace.h"
#include "runtime/support/machine_speed.h"

namespace emulsion {

struct KernelTime {
    int kernel = 0;        // index into info->kernels
    double seconds = 0.0;  // median
};

// What was measured of calls with one number of samples.
struct CallProfile {
    int batch = 1;  // compiled, whose kernels ran
    int samples = 1, warm_up = 0;
    int calls = 0;                    // that the medians are over; 0: none was measured
    double seconds = 0.0;             // of a whole call, median
    std::vector<KernelTime> kernels;  // those that ran, in the order of info->kernels
};

// Collects times while the library runs. `record` with the object as `self` goes into
// emulsion_options; begin_call and end_call stand around every call.
class KernelProfile {
  public:
    static constexpr size_t kMostTraced = 20;  // calls of each start

    explicit KernelProfile(const emulsion_info& info);

    // Forgets what was measured, but for the trace, and measures calls of `samples` samples, after
    // `warm_up` of them, with the kernels compiled for `batch`.
    void start(int batch, int samples, int warm_up);
    void begin_call();
    void end_call(int samples);
    CallProfile result() const;
    // When the first kMostTraced of the calls that count ran, of each start.
    std::span<const TracedCall> trace() const { return trace_; }

    static void record(void* self, int kernel, double seconds);

  private:
    CallProfile profile_;  // but for the medians
    int seen_ = 0;         // calls of those samples
    TracedCall call_;      // this one; its kernels where it is traced
    bool is_traced_ = false;
    std::vector<TracedCall> trace_;
    std::vector<float> current_;               // by kernel, of this call; negative: has not run
    std::vector<float> calls_;                 // seconds of the calls that count
    std::vector<std::vector<float>> kernels_;  // by kernel, of the calls that count
};

// One row a kernel in the order of the calls: microseconds, share, signature.
std::string profile_text(const CallProfile& profile, const emulsion_info& info);
// The same as one JSON object a line.
std::string profile_lines(const CallProfile& profile, const emulsion_info& info);

// What stands in a profile's file besides times.
struct ProfileFacts {
    const emulsion_info* info = nullptr;
    std::string mode;     // "training" or "inference"
    std::string variant;  // that ran
    int threads = 1;
    Device device;  // of the library
};

// The variant that a library takes for emulsion_options::variant and the device.
std::string chosen_variant(const emulsion_info& info, int variant, const Device& device);

// The text of the file. `machine` is null where it could not be measured.
std::string profile_json(const ProfileFacts& facts, std::span<const CallProfile> calls,
                         const MachineSpeed* machine);

// Measures the processor, or the device by `speed`, and writes the file. Throws RuntimeError where
// it cannot be written. Returns "profile written to FILE; emulsion show MODEL --emit=roofline
// --profile=FILE reads it"; of a device that cannot be measured, which `show` refuses, why.
std::string write_profile(const std::string& path, const ProfileFacts& facts,
                          std::span<const CallProfile> calls, SpeedQuery speed);

}  // namespace emulsion
