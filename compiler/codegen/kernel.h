// From a planned kernel to an object file: Halide builds it, in a forked process of its own, and a
// cache keeps it.
#pragma once

#include <string>
#include <vector>

#include "compiler/plan/plan.h"

namespace emulsion {

struct KernelOptions {
    bool checked = false;  // keep Halide's asserts and bounds queries
    bool use_cache = true;
    int processes = 0;  // 0: as many as the CPUs allowed
    double timeout_seconds = 120;
    int64_t memory_limit_bytes = int64_t{6} << 30;
};

struct CompiledKernel {
    std::string
        symbol;  // the function in the object: k_ and 16 hexadecimal digits of the identity's hash
    std::string object;       // bytes of a relocatable ELF object
    int64_t slab0_bytes = 0;  // slab need of the calling thread, runtime/abi/instance.h
    int64_t slab_bytes = 0;   // of every other worker
    bool checked = false;     // its asserts want descriptors that state the samples of the call
    std::vector<Scratch> scratch = {};  // buffers behind the group's results
};

// Compiles all kernels of a variant in parallel; the result is in their order. Throws Error[kernel]
// naming the group, recipe and tiling where one fails, crashes or runs out of time or memory.
std::vector<CompiledKernel> compile_kernels(const std::vector<PlannedKernel>& kernels,
                                            const Isa& isa, const RecipeLibrary& library,
                                            const KernelOptions& options);

// The same, where a kernel that fails costs no other: its `failure` says why, and the rest is
// empty.
struct KernelAttempt {
    CompiledKernel kernel;
    std::string failure;
};
std::vector<KernelAttempt> try_compile_kernels(const std::vector<PlannedKernel>& kernels,
                                               const Isa& isa, const RecipeLibrary& library,
                                               const KernelOptions& options);

// Everything that decides the bytes of an object beside the kernel's identity: the code of the
// compiler itself (the library `library`, by content) and Halide's version. Empty where it cannot
// be read: then nothing is cached.
std::string build_identity_of(const std::string& library);
// That of the library this code runs from.
const std::string& build_identity();

// Text of one kernel at a stage: "loops" (print_loop_nest), "stmt", "asm".
std::string show_kernel(const PlannedKernel& kernel, const Isa& isa, const RecipeLibrary& library,
                        const std::string& stage);

}  // namespace emulsion
