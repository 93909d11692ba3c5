// The workbench of the processor this runs on. Every candidate is compiled, checked and timed in
// forked processes with limits on time and memory: one that crashes, hangs, takes too much memory
// or computes wrongly is one failed trial. What is timed is the object that ships.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "compiler/support/temporary_folder.h"
#include "compiler/support/workers.h"
#include "schedules/tune/kernel_session.h"
#include "schedules/tune/plain_body.h"
#include "schedules/tune/processors.h"
#include "schedules/tune/workbench.h"

namespace emulsion {

struct CpuWorkbenchOptions {
    int threads = 1;                          // that the kernels run on
    int jobs = 1;                             // compiling processes
    uint64_t seed = 1;                        // of the operands' values
    double compile_seconds = 20;              // that a candidate may take
    double run_seconds = 20;                  // that checks and timing of a candidate may take
    int64_t memory_bytes = int64_t{2} << 30;  // that a candidate may add to its tensors
};

class CpuWorkbench : public Workbench {
  public:
    // REQUIRES: this processor runs `isa`; `library` outlives it.
    CpuWorkbench(const RecipeLibrary& library, const Isa& isa, const CpuWorkbenchOptions& options);
    ~CpuWorkbench() override;

    std::string take_up(const PlannedKernel& kernel, int64_t step_bytes) override;
    std::vector<Trial> compile(const std::vector<Candidate>& candidates) override;
    Trial compare(const Candidate& current, const Candidate& candidate,
                  const Effort& effort) override;
    int jobs() const override { return options_.jobs; }
    bool compiles_ahead() const override;
    void compile_ahead(const std::vector<Candidate>& candidates) override;
    bool compile_step(const Plan& plan, double seconds) override;
    StepTimes time_steps(const Network& network, const std::vector<const Plan*>& plans,
                         const Effort& effort) override;

  private:
    struct Kernel;  // the one taken up
    struct Ahead;   // candidates of it that are compiled while others are timed
    KernelOptions kernel_options() const;
    PlannedKernel planned(const Candidate& candidate) const;
    void finish_ahead();
    std::string work(const std::string& task, const std::function<std::string()>& job) const;
    std::string work(const std::string& task, const std::function<std::string()>& job,
                     const WorkerLimits& limits) const;

    const RecipeLibrary& library_;
    Isa isa_;
    CpuWorkbenchOptions options_;
    ProcessorShares shares_;
    TemporaryFolder folder_;              // of its processes
    std::set<std::string> step_kernels_;  // identities of those that are compiled
    std::unique_ptr<Kernel> kernel_;
    std::unique_ptr<Ahead> ahead_;
};

}  // namespace emulsion
