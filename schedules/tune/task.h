// The kernels of a network as the tuner sees them, and whose turn it is.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "compiler/plan/plan.h"
#include "schedules/tune/journal.h"
#include "schedules/tune/search.h"
#include "schedules/tune/similar_records.h"

namespace emulsion {

// A kernel as reports show it.
struct TunedKernel {
    std::string name;                        // "training backward conv2.dw", after its first call
    std::map<bool, double> shares;           // by direction that calls it: of that step's time
    double share = 0;                        // of a step's time, 0 to 1: the mean over directions
    double step_us = 0;                      // of a call in the step by its own schedule, or 0
    int trials = 0;                          // finished, in all runs
    int failures = 0;                        // of them: crashed, hung, wrong, …
    double default_us = 0, best_us = 0;      // of the last record; 0 where there is none
    std::string own, best;                   // recipe and tiling; `best` is empty without a record
    std::string fault;                       // why it cannot be tuned, or empty
    std::vector<Start> starts;               // records that this visit begins with
    const PlannedKernel* planned = nullptr;  // while tune() runs
    std::optional<Candidate> chosen;         // what the last record says
};

// A kernel and what is known of it.
struct Task {
    PlannedKernel kernel;
    TunedKernel shown;
    std::map<bool, int> calls;  // by direction: of one step of training, of one inference
    double own_seconds = 0;     // of a call: by the cost model, then measured, in the step at best
    int64_t step_bytes = 0;     // that a step works on which calls it; of several the least
    int64_t number = 0;         // in the journal
    double spent_seconds = 0;   // of measuring, in all runs: before this visit
    std::unique_ptr<Search> search;
    bool is_spent = false;     // nothing is left to try
    bool was_visited = false;  // in this run

    Candidate own() const { return {kernel.recipe, kernel.recipe_version, kernel.tiling}; }
    void count(Outcome outcome);
    // Of a call of its own schedule by itself, which counts until the step was timed.
    void learn_own(double seconds);
    // Of a call in the step.
    void learn_step(double us);
    // Its record; nothing: there is none.
    void show_best(const std::optional<Confirmation>& confirmation);
};

using Tasks = std::vector<std::unique_ptr<Task>>;

// By direction, that of training first.
using Plans = std::map<bool, Plan, std::greater<>>;

// The kernels that a step of training or an inference calls; those that prepare weights run once
// and are left out.
Tasks find_tasks(const Plans& plans);

// Sets the shares of each kernel in the time of a step.
void weigh(const Tasks& tasks);

inline constexpr int kVisitTrials = 16;  // of a kernel before another gets its turn

// Time in proportion to the share: that of the highest share per time of a usual visit, the next
// one counted. Null where all are spent.
Task* next_task(const Tasks& tasks);

// As reports show them, those of the highest share first.
std::vector<TunedKernel> shown(const Tasks& tasks);

}  // namespace emulsion
