// What the plan could do otherwise above its kernels (recipe/choices.h), tried in the network's own
// step: one choice changed at a time, those first whose kernels take most of a step. Both plans run
// with the records of kernels that there are. A choice that wins is measured again, and becomes a
// record where it wins that too, with the processors to itself; the run then plans anew, and tunes
// the kernels of the new groups as all others.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "schedules/tune/tune_run.h"

namespace emulsion {

class ChoiceSearch {
  public:
    explicit ChoiceSearch(TuneRun& run) : run_(run) {}

    bool has_next();
    // Whether choices have had less than their share of the time, and what is left of the budget
    // is enough for another. REQUIRES: the kernels' times in the step are known.
    bool is_due();
    // Tries the next one. Whether the run has planned anew.
    bool try_next();
    // The run has planned anew.
    void look_anew() { flips_.reset(); }

  private:
    struct Flip {
        NodeChoice choice;
        std::string word;      // instead of choice.word
        double seconds = 0;    // of a step in kernels that it replaces
        bool has_won = false;  // in an earlier run, which could not measure it again
        Candidate candidate() const { return {word, 1, {}}; }
    };
    void find_flips();
    void add_flips(const NodeChoice& choice);
    bool is_decided_elsewhere(const NodeChoice& choice) const;
    double replaced_seconds(const Flip& flip) const;
    bool confirm(const Flip& flip);

    TuneRun& run_;
    std::optional<std::vector<Flip>> flips_;  // that of most seconds last; none: not yet looked for
    Stopwatch since_begin_;
    double spent_seconds_ = 0, longest_seconds_ = 0;
};

}  // namespace emulsion
