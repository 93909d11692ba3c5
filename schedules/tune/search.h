// Which schedule of a kernel to try next: what records say of it, then what the recipes rank, the
// cheapest by the cost model first, then changes of the best so far and random ones of the whole
// space in turn. Of the changes, a few are drawn and the cheapest by the model is tried; every
// fourth is tried as it is drawn, and all are where the model ranks what was measured of the kernel
// no better than chance.
#pragma once

#include <deque>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "compiler/recipe/records.h"
#include "schedules/tune/cost_model.h"
#include "schedules/tune/workbench.h"

namespace emulsion {

class Search {
  public:
    // `kernel`, `library` and `decided` outlive it. `exact` leaves out recipes that round
    // otherwise; `decided`, which may be null, knows the records of other instruction sets, see
    // plan_takes; `model` ranks.
    Search(const PlannedKernel& kernel, const Isa& isa, const RecipeLibrary& library, bool exact,
           int threads, uint64_t seed, const RecordSource* decided = nullptr,
           const CostModel& model = {});

    // Proposes it before all others but those added before it. False where the kernel may not run
    // so, or it was proposed or learned.
    bool add_start(const Candidate& candidate);
    // From now on proposes random candidates of the whole space alone.
    void draw_alone();
    // What a candidate, or the kernel's own schedule, took at last, in microseconds: good ones are
    // what the next are made of.
    void learn(const Candidate& candidate, double us);

    // A candidate that was not proposed before; nothing where none is left, or none is found.
    std::optional<Candidate> next();
    // Whether next() would give one.
    bool has_next();

  private:
    const Recipe* find(const std::string& name) const;
    bool is_legal(const Candidate& candidate) const;
    bool is_usable(const Candidate& candidate) const;
    bool is_new(const Candidate& candidate) const;
    double cost_of(const Candidate& candidate) const;  // by the model; REQUIRES: is_legal
    bool follows_model() const;
    std::optional<Candidate> find_next();
    std::optional<Candidate> random_candidate();
    std::optional<Candidate> changed_candidate();
    std::optional<Candidate> best_change();
    int random_value(const TilingField& field);

    const PlannedKernel& kernel_;
    Isa isa_;
    const RecipeLibrary& library_;
    bool exact_;
    const RecordSource* decided_;
    CostModel model_;
    Machine machine_;
    std::mt19937_64 random_;
    struct Measured {
        double us, cost;
        Candidate candidate;
    };
    std::vector<const Recipe*> recipes_;  // with a space to search
    std::deque<Candidate> starts_;        // first of all
    std::optional<Candidate> ahead_;      // found by has_next()
    std::vector<Candidate> ranked_;       // best last
    std::vector<Measured> measured_;      // fastest first
    std::set<std::string> proposed_;
    bool changes_next_ = true;
    size_t changes_ = 0;  // that were looked for
    bool draws_alone_ = false;
};

// Whether the plan would take the candidate from a record beside those in `decided`: on the
// instruction set, so that the variants of a library for others can follow, and so that it follows
// what they decide.
bool plan_takes(const PlannedKernel& kernel, const Isa& isa, const RecipeLibrary& library,
                bool exact, const Candidate& candidate, const RecordSource* decided = nullptr);

}  // namespace emulsion
