// A profile: what `NET-train --profile=FILE` or `NET-infer --profile=FILE` has measured, as JSON.
//
//     {"format": "emulsion-profile", "format_version": 1, "version": …, "network": …,
//      "signature": …,                    of the network, as in header and manifest
//      "mode": "training"|"inference", "variant": "avx512",
//      "threads": 1,                      that ran; "planned_threads": of the build
//      "device": "cpu",                   or such as "opencl:0", of the variant "opencl"
//      "machine": {"peak": …,             operations a second, two for a multiply-add
//                  "bandwidth": [{"bytes": …, "read": …, "write": …}, …],     bytes a second
//                  "launch": …},          of a device: seconds of a launch that does nothing
//      "calls": [{"batch": …, "samples": …, "warm_up": …, "measured": …, "seconds": …,
//                 "kernels": [{"name": …, "seconds": …}, …]}]}
//
// Seconds are medians over the measured calls, those after the warm-up; a kernel's name is its line
// in emulsion_info (call_line in plan.h). The machine's rates are the best of several measurements
// with as many threads (runtime/support/machine_speed.h), a device's those that NET_speed measures
// (runtime/abi/emulsion_abi.h). A device that could not be measured has no "machine", and its
// profile is refused.
#pragma once

#include <string>
#include <vector>

#include "runtime/support/machine_speed.h"

namespace emulsion {

struct ProfiledKernel {
    std::string name;
    double seconds = 0;
};

// Calls of one compiled batch, with one number of samples.
struct ProfiledCall {
    int batch = 1, samples = 1, warm_up = 0, measured = 1;
    double seconds = 0;  // of the whole call
    std::vector<ProfiledKernel> kernels;
};

struct Profile {
    std::string file;
    std::string network, signature;
    bool training = false;
    std::string variant;
    int threads = 1, planned_threads = 1;
    std::string device = "cpu";
    MachineSpeed machine;
    std::vector<ProfiledCall> calls;
    bool is_of_device() const { return device != "cpu"; }
};

// Throws Error[profile] where the file cannot be read, is no profile, is that of a device without
// its speed, or holds impossible values.
Profile read_profile(const std::string& file);

}  // namespace emulsion
