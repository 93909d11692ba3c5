// What a profiled network could gain: each kernel's time against what the machine does at most.
//
// The bound of a kernel is the longest of these times: that of the multiply-adds its recipe does at
// the measured peak, and that of its tensors, each read or written once, at the measured bandwidth
// of a block no larger than they are together; on a device also that of a launch which does
// nothing, as each kernel's time holds launch and wait. Time minus bound is what could be gained;
// kernels are sorted by it. Operations and their share of the peak are those of the op's plain
// definition, so a Winograd kernel may pass 100 %.
#pragma once

#include <string>

#include "compiler/plan/plan.h"
#include "compiler/plan/profile.h"

namespace emulsion {

// A table for each entry of profile.calls, at most 100 columns wide but for long names. The plan is
// of the variant and the batches of the profile. Throws Error[profile] where its kernels are
// others.
std::string roofline_text(const Plan& plan, const Profile& profile);

// Seconds that so many bytes take at the rates of the largest measured block that is no larger than
// they are together, else of the smallest. REQUIRES: one was measured.
double byte_seconds(double read, double written, const MachineSpeed& machine);

}  // namespace emulsion
