// Forked worker processes: each job runs in a process of its own, so a crash, a hang or a job that
// takes all memory is one failed job and nothing more, and results do not depend on what ran
// before.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace emulsion {

struct JobResult {
    bool ok = false;
    std::string output;   // what the job returned
    std::string failure;  // why it failed: an exception's text, "killed by signal 11", "took longer
                          // than 120 s"
};

struct WorkerLimits {
    int processes = 0;  // 0: the CPUs this process may use
    double timeout_seconds = 120;
    int64_t memory_bytes = int64_t{6} << 30;  // address space a job may add
};

// Runs job(0) … job(count - 1), each in a fork of this process, and returns the results in order. A
// job reports a failure by throwing; std::exception and Halide::Error texts are kept through
// `describe`, which turns the current exception into text. No worker outlives this process; a
// signal that asks it to end throws Interrupted. REQUIRES: no other thread of this process holds a
// lock that a job needs.
std::vector<JobResult> run_forked(size_t count, const std::function<std::string(size_t)>& job,
                                  const std::function<std::string()>& describe,
                                  const WorkerLimits& limits);

// One such job beside this process, which goes on. The job may run forked jobs of its own; when it
// is given up it is asked to end first, so that they end with it.
class BackgroundJob {
  public:
    BackgroundJob(const std::function<std::string()>& job,
                  const std::function<std::string()>& describe, const WorkerLimits& limits);
    ~BackgroundJob();  // gives it up
    BackgroundJob(const BackgroundJob&) = delete;
    BackgroundJob& operator=(const BackgroundJob&) = delete;

    // Waits for its end. To be called once.
    JobResult wait();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace emulsion
