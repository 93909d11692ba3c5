// What kernels for CUDA become on machines without a GPU: NVIDIA's assembler makes machine code of
// a compiled kernel, its disassembler says what is in the loop where the time goes. Both stand in
// the environment that compiler/toolchain/setup.sh --tests makes.
#pragma once

#include <string>
#include <vector>

#include "compiler/codegen/kernel.h"

namespace emulsion::test {

// One entry of a kernel's object: a launch.
struct CudaEntry {
    std::string name;
    int registers = 0;    // of a thread
    int spill_bytes = 0;  // stored and loaded
    int stack_bytes = 0;
    // Of the innermost loop with the most FFMA; of the whole entry where no loop has any.
    bool has_loop = false;
    int instructions = 0;
    int ffma = 0;
    int loads = 0, wide_loads = 0;  // of memory of any kind; those of 128 bits
    double ffma_share() const { return instructions == 0 ? 0 : 1.0 * ffma / instructions; }
};

// Whether assembler and disassembler are there.
bool has_cuda_tools();

// The texts for the assembler that lie in an object as strings.
std::vector<std::string> ptx_texts(const std::string& object);

// The entries of such a text as machine code of `architecture` ("sm_90"); loops are read where
// `disassemble`. Throws std::runtime_error with the assembler's text where it refuses.
std::vector<CudaEntry> cuda_entries(const std::string& text, const std::string& architecture,
                                    bool disassemble);
// Of a kernel that was compiled for isa_cuda.
std::vector<CudaEntry> cuda_entries(const CompiledKernel& kernel, const std::string& architecture,
                                    bool disassemble);

// The kernel that the plan would make of a group for isa_cuda.
PlannedKernel planned_for_cuda(const Group& group, const RecipeLibrary& library, bool exact = true);

}  // namespace emulsion::test
