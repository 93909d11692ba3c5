// Records and kernels for the tests of the tuner.
#pragma once

#include <string>

#include "compiler/plan/plan.h"
#include "schedules/tune/record.h"

namespace emulsion::test {

// A machine class that no processor has.
MachineClass some_machine();

// A record of `signature` that gained `gain` over the default.
TunedRecord some_record(const std::string& signature, double gain);

// A dense layer of 24 inputs for 4 samples, with its plan's own schedule.
PlannedKernel dense_kernel(const RecipeLibrary& library, const Isa& isa, int64_t outputs = 32,
                           bool has_relu = false);

}  // namespace emulsion::test
