// Two ways to decide one thing above the kernels, timed against each other in the network's step.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "schedules/tune/tune_run.h"

namespace emulsion {

// As another source says, but for one choice: `word`, or where that is empty, no record.
class ChangedChoices : public ChoiceSource {
  public:
    ChangedChoices(const ChoiceSource& others, const NodeChoice& choice, std::string word)
        : others_(others), node_(choice.node), decision_(choice.decision), word_(std::move(word)) {}
    std::optional<RecordedChoice> find(const std::string& node, Decision decision, const Isa& isa,
                                       int threads) const override;

  private:
    const ChoiceSource& others_;
    std::string node_;
    Decision decision_;
    std::string word_;
};

// Whether nodes of the plan are what the choice is about; the plan's choices of the batch that is
// timed.
bool has_choice(const Plan& plan, const NodeChoice& choice);
std::vector<NodeChoice> timed_choices(const Plan& plan);

// The plans by two sources of choices, with the kernels' records that there are, of all directions
// that have the choice in which the sources differ.
class ChoicePair {
  public:
    // Throws Error where there is no such plan.
    ChoicePair(TuneRun& run, const NodeChoice& choice, const ChoiceSource& own,
               const ChoiceSource& other);

    // Of the kernels that only one of the plans has, with their recipes and tilings: another one
    // where one of them was tuned.
    int fingerprint() const;

    // Times the steps by `own` and by `other`, the candidate: of several directions, the first has
    // to be faster and none slower. Kernels that the run's plans do not have are checked first.
    // Nothing where the budget ends before all is compiled.
    std::optional<Trial> measure(const Effort& effort) const;

    const Plans& own() const { return own_; }

  private:
    TuneRun& run_;
    Plans own_, other_;
};

// As reports show it.
TunedChoice shown(const TuneRun& run, const NodeChoice& choice, const std::string& own,
                  const std::string& other);

}  // namespace emulsion
