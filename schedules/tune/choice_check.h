// Choices above the kernels that became records, measured again in the network's step after kernels
// around them were tuned: what no longer wins is withdrawn.
#pragma once

#include <string>
#include <vector>

#include "schedules/tune/choice_trial.h"
#include "schedules/tune/tune_run.h"

namespace emulsion {

// What the journal keeps of a choice that was measured in the step: its word, and for which kernels
// of both plans it was.
Candidate measured_choice(const std::string& word, const ChoicePair& plans);

class ChoiceCheck {
  public:
    explicit ChoiceCheck(TuneRun& run) : run_(run) {}

    // Whether there are such choices, and kernels' records have changed since the last check().
    bool is_due();
    // About the time that check() takes.
    double seconds();

    // Times the network without the record of each choice against itself with it, where kernels
    // that only one of the two has are others than when it was last measured. Where the step is not
    // faster with it, beyond noise, the record is removed, and the run plans anew: whether it has.
    // Where other work took the processors, nothing is decided.
    bool check();

  private:
    std::vector<NodeChoice> accepted();
    std::string kernels_records() const;
    bool is_withdrawn(const NodeChoice& choice);
    bool settle(const NodeChoice& choice, const std::string& own, const Confirmation& check,
                double seconds);

    TuneRun& run_;
    std::string checked_with_ = "nothing yet";  // kernels_records()
    double last_seconds_ = 0;                   // that one choice took; 0: none was measured
};

}  // namespace emulsion
