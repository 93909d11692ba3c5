// What the search asks of a device: to compile schedules, to say whether they compute what they
// should, and which of two is faster. Nothing else in the tuner knows what a kernel runs on.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/graph/network.h"
#include "compiler/plan/plan.h"
#include "schedules/tune/statistics.h"

namespace emulsion {

// One way to run a kernel.
struct Candidate {
    std::string recipe;
    int version = 1;
    Tiling tiling;
    bool operator==(const Candidate&) const = default;
};
std::string to_string(const Candidate& candidate);  // "direct kw=16 tx=7"

enum class Outcome {
    faster,   // than the current one, beyond noise
    slower,   // or no faster beyond noise
    refused,  // does not compile
    wrong,    // computes something else than the op's plain definition
    crashed,  // when compiled or run
    hung,     // took longer than allowed
    memory,   // took more memory than allowed
};
std::string to_string(Outcome outcome);
std::optional<Outcome> parse_outcome(std::string_view text);

struct Trial {
    Outcome outcome = Outcome::slower;
    PairedTimes times;  // where it was timed
    std::string note;   // why it was not, in words
};

// How much a comparison may cost.
struct Effort {
    int least_pairs = 5, most_pairs = 12;
    double seconds = 0.5;  // after which no pair beyond the least is begun
    double significance = 0.05;
    double margin = 0.01;      // a gain below it does not count
    bool stops_at_win = true;  // as soon as the test is passed
};
// Of a search's trials, and of a winner that is measured again before it becomes a record.
inline constexpr Effort kTrialEffort;
inline constexpr Effort kConfirmEffort{11, 25, 1.5, 0.005, 0.015, false};

// Of a network's own step, several calls of a library per run.
inline constexpr Effort kFirstStepEffort{3, 9, 0.5};
inline constexpr Effort kStepEffort{11, 25, 1.5, 0.05, 0};

// Of a choice above the kernels, in the step, and of one that won.
inline constexpr Effort kChoiceEffort{7, 15, 1, 0.05, 0.003};
inline constexpr Effort kConfirmChoiceEffort{15, 31, 3, 0.005, 0.003};
// Of one that is in force, after kernels around it were tuned.
inline constexpr Effort kCheckChoiceEffort{15, 31, 3, 0.05, 0};

// A call of a network's library, a step of training or an inference of the largest batch: its time,
// and that of each of the plan's kernels, all calls of it together.
struct StepRun {
    double seconds = 0;
    std::vector<double> kernels;
};
struct StepTimes {
    std::vector<std::vector<StepRun>> rounds;  // a run of each plan in turn
    bool contended = false;
    std::string fault;  // why there are none
};

class Workbench {
  public:
    virtual ~Workbench() = default;

    // Takes up a kernel: all that follows is about it. Checks that its own schedule computes what
    // the plain definition does. Returns why it cannot be tuned; empty where it can. `step_bytes`
    // is what a step that calls the kernel works on: as much passes the caches between two calls.
    virtual std::string take_up(const PlannedKernel& kernel, int64_t step_bytes) = 0;

    // Compiles the candidates side by side. For each one, outcome `slower` where compare() may be
    // called with it, else what went wrong.
    virtual std::vector<Trial> compile(const std::vector<Candidate>& candidates) = 0;

    // Checks the candidate and times it in turn with the current one. REQUIRES: both are compiled.
    virtual Trial compare(const Candidate& current, const Candidate& candidate,
                          const Effort& effort) = 0;

    // How many candidates it compiles at once.
    virtual int jobs() const = 0;

    // Whether compile_ahead() does anything: what comparisons run on leaves room for it.
    virtual bool compiles_ahead() const = 0;
    // Begins to compile candidates of the kernel taken up, and returns; comparisons may run
    // meanwhile. compile() gives what became of them, and waits for them.
    virtual void compile_ahead(const std::vector<Candidate>& candidates) = 0;

    // Compiles kernels of the plan for about so many seconds; whether all are compiled. Called
    // again, it goes on.
    virtual bool compile_step(const Plan& plan, double seconds) = 0;
    // Times calls of the network's library by each of the plans, one or two of one direction, in
    // turn; they may have different kernels.
    virtual StepTimes time_steps(const Network& network, const std::vector<const Plan*>& plans,
                                 const Effort& effort) = 0;
};

}  // namespace emulsion
