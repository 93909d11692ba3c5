// A group's plain definition, run op by op: every node of its body is a kernel of its own, with the
// recipe named `default` or the plainest one that runs it. Nothing is fused and no tiling is
// chosen, so a fault of a recipe or of fusion does not reach it.
#pragma once

#include <vector>

#include "schedules/tune/kernel_session.h"

namespace emulsion {

class PlainBody {
  public:
    // `group` must outlive it. Throws Error[kernel] where an op does not compile.
    PlainBody(const Group& group, const Isa& isa, const RecipeLibrary& library,
              const KernelOptions& options);

    // Fills `results`, blocks of the group's results. Runs the kernels in this process.
    void run(const OperandValues& operands, const std::vector<GuardedBlock>& results) const;

  private:
    struct Step {
        int node = 0;
        PlannedKernel kernel;
        std::vector<Value> operands;  // of the body, in the order of the kernel's buffers
    };
    Step step_of(int node, const Isa& isa, const RecipeLibrary& library) const;
    int64_t pitch_of(Value value) const;  // of an operand of the group; 0 for what a step makes

    const Group& group_;
    std::vector<Step> steps_;
    std::vector<CompiledKernel> compiled_;
};

}  // namespace emulsion
