// What lives in the workspace while the calls of a batch run: results, from the run that writes
// them to the last one that reads them, and scratch.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include "compiler/plan/choice.h"
#include "compiler/plan/grouped_batch.h"
#include "compiler/plan/memory.h"

namespace emulsion {

// Groups in the order in which they run. One that stands there again writes its results anew, for
// those who read them from then on.
using RunOrder = std::vector<int>;

class Workspace {
  public:
    // A value, or several side by side (Joins): bytes that come and go as one.
    struct Whole {
        Value value;
        int64_t bytes = 0;
        std::vector<int> writers;  // groups, ascending
    };
    // The wholes that a group reads and writes, in the order of its operands and results; -1 for
    // what lies elsewhere.
    struct Touched {
        std::vector<int> operands, results;
    };

    // One run of a group: blocks of its operands, results and scratch; -1 as above.
    struct Run {
        std::vector<int> operands, results, scratch;
    };
    // A whole from one writing to the last reading of that, in runs.
    struct Life {
        int whole = 0;
        int first = 0, last = 0;
    };
    struct Lives {
        std::vector<LiveBlock> blocks;  // a result that may lie over an operand has its block
        std::vector<Run> runs;
        std::vector<Life> lives;
    };

    // `elsewhere` has the values whose place is no matter of liveness; `choices` how each group
    // runs.
    Workspace(const GroupedBatch& grouped, const std::map<Value, Place>& elsewhere,
              const std::vector<const Choice*>& choices);

    const std::vector<Whole>& wholes() const { return wholes_; }
    const std::vector<Touched>& touched() const { return touched_; }  // by group
    Lives lives(const RunOrder& order) const;

  private:
    struct Own {
        std::vector<int> operands, results;     // values
        std::vector<std::pair<int, int>> over;  // results, and operands that they may lie over
        std::vector<int64_t> scratch;           // bytes
    };

    int number_of(const GroupedBatch& grouped, Value value);
    void add_group(const GroupedBatch& grouped, size_t g, const std::map<Value, Place>& elsewhere,
                   const Choice& choice);
    // Begins and ends lives; those of operands and results go to the runs.
    void live(const RunOrder& order, Lives& result) const;
    int block_below(const Own& own, int r, int run, const Lives& result) const;

    std::map<Value, int> numbers_;  // of values
    std::vector<int> whole_of_;     // by value
    std::map<Value, int> whole_numbers_;
    std::vector<Whole> wholes_;
    std::vector<Own> own_;
    std::vector<Touched> touched_;
};

}  // namespace emulsion
