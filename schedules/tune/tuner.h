// The autotuner: finds faster schedules for the kernels of a network, in both directions, within a
// budget, and writes them as records that a build takes.
//
// Kernels are visited in turn, the longer the more of a step they take. A visit checks that the
// kernel's own schedule computes what the plain definition does, then tries candidates against the
// best so far. One that wins is measured again against the kernel's own schedule, and becomes a
// record only where it wins that too, with the processors to itself. Kernels are timed by
// themselves, on tensors as cold as in a step. Now and then, and at the end, the network's own step
// is timed without records and with them: a record whose kernel is not faster there is dropped.
// Between visits, choices above the kernels are tried in the step (choice_search.h); those that won
// are measured again where kernels around them were tuned (choice_check.h).
// Each result is in the journal, and each record in its file, before the next measurement begins:
// however a run ends, nothing is lost and nothing is measured again.
#pragma once

#include <string>
#include <vector>

#include "compiler/pipeline.h"
#include "schedules/tune/cost_model.h"
#include "schedules/tune/journal.h"
#include "schedules/tune/record_set.h"
#include "schedules/tune/task.h"
#include "schedules/tune/workbench.h"

namespace emulsion {

struct TuneOptions {
    double minutes = 0;  // of measuring, with what the journal has spent on these kernels; 0: any
    int trials = 0;      // candidates, with those in the journal; 0: any
    std::string records, journal;  // files
    RecordSet known;               // records of others, where searches begin too
    CostModel model;               // of this machine's class: ranks what is tried
    std::optional<bool> training;  // tunes a step of training or inference alone; none: both
    std::string only;              // the kernel of this name, else those whose names contain it
    bool choices = true;           // above the kernels too
    double choice_share = 0.25;    // of the time, for those
    bool draws = false;            // candidates at random alone, as a search is compared with
    int threads = 1;               // that the kernels run on
    uint64_t seed = 1;
};

// A choice that the plan makes otherwise (recipe/choices.h), as reports show it.
struct TunedChoice {
    std::string name, node;      // NodeChoice
    std::string own, other;      // words
    std::vector<bool> training;  // the directions that have such nodes
};

enum class TuneEnd { budget, nothing_left };

// Told what happens, in order.
class TuneReport {
  public:
    virtual ~TuneReport() = default;
    virtual void note(const std::string& sentence) = 0;
    virtual void begin(const std::string& network, const Isa& isa, const TuneOptions& options,
                       size_t kernels, const Spent& spent) = 0;
    virtual void take_up(const TunedKernel& kernel) = 0;
    virtual void trial(const TunedKernel& kernel, const Candidate& candidate,
                       const Trial& trial) = 0;
    virtual void confirmation(const TunedKernel& kernel, const Confirmation& confirmation) = 0;
    // A step of training or an inference by the kernels' own schedules takes so long.
    virtual void step_timed(bool training, double us, bool is_contended) = 0;
    // Without records, and with those there are.
    virtual void step_compared(bool training, const PairedTimes& times) = 0;
    // What became of the kernel's record in the step.
    virtual void step_check(const TunedKernel& kernel, const Confirmation& check) = 0;
    // A step with a choice made otherwise, and the same measured again where it won.
    virtual void choice_tried(const TunedChoice& choice, const Trial& trial) = 0;
    virtual void choice_confirmed(const TunedChoice& choice, const Confirmation& confirmation) = 0;
    // One that is in force, measured again after kernels around it were tuned.
    virtual void choice_checked(const TunedChoice& choice, const Confirmation& check) = 0;
    virtual void end(TuneEnd why, const std::vector<TunedKernel>& kernels, const Spent& spent) = 0;
    // A signal came: the same table, so that what was found is seen.
    virtual void interrupted(const std::vector<TunedKernel>& kernels, const Spent& spent) = 0;
};

// Tunes until the budget is spent or no candidate is left. `build` says what the network is
// compiled for; its target is one instruction set. Throws Error[journal], [record], what a
// build throws, and Interrupted, after which all that was measured is kept.
void tune(const Network& network, const RecipeLibrary& library, const BuildOptions& build,
          const TuneOptions& options, Workbench& workbench, TuneReport& report);

}  // namespace emulsion
