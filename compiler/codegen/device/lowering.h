// What Halide's lowering lacks for kernels of devices.
#pragma once

#include <Halide.h>

namespace emulsion {

struct Isa;

// Lets the pipeline, which is scheduled for `isa`, be lowered with private registers
// (private_registers.h) and, for Vulkan, in forms that Halide gets right there (vulkan_forms.h),
// and judged by the limits of the target (check_device_kernel). Nothing for processors. `batch`:
// the most samples of a call.
void add_device_lowering(Halide::Pipeline& pipeline, const Isa& isa, int batch);

// Throws Error[device] where a lowered pipeline asks for what drivers refuse at a launch or what
// would run beside the device: more threads in a block or more shared memory than the target has,
// more blocks along an axis, vectors that it does not have, an intermediate that is allocated with
// each call, an access of memory in front of or behind the kernels.
void check_device_kernel(const Halide::Internal::Stmt& kernel, const Isa& isa, int batch);

}  // namespace emulsion
