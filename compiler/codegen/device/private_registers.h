// A lowering pass for device kernels: private registers for the accumulators of a thread block.
//
// Halide 21 accepts an accumulator that is computed by a thread block and stored in registers, with
// thread loops of its own inside a serial loop that stages panels in shared memory. It gives each
// thread an array for the whole block, indexed by the thread: local memory, which is slow. And
// where a thread reads what another one wrote, it compiles a kernel that is wrong without a word.
//
// The pass runs after all of Halide's lowering. It proves that each thread keeps to elements of its
// own and gives it an array of just those with constant indices, hence registers; where there is no
// proof, it refuses the kernel.
#pragma once

#include <Halide.h>

namespace emulsion {

// Throws Error[registers] naming the accumulator and the index.
Halide::Internal::Stmt with_private_registers(const Halide::Internal::Stmt& kernel);

}  // namespace emulsion
