// Where a search begins, beside what the cost model ranks: at what ran fast for this kernel on
// other machines or instruction sets, and for kernels that resemble it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compiler/plan/plan.h"
#include "schedules/tune/cost_model.h"
#include "schedules/tune/record_set.h"
#include "schedules/tune/workbench.h"

namespace emulsion {

// A schedule from a record, fitted to the kernel.
struct Start {
    Candidate candidate;
    std::string origin;  // "net.records:12"
    std::string why;     // "this kernel, avx2", "another shape, another machine"
};

class SimilarRecords {
  public:
    // Records whose groups are not of this version count for nothing.
    explicit SimilarRecords(const RecordSet& set);

    // All records of the kernel itself, then at most `most` of kernels that resemble it, the
    // nearest first: the same layer fused otherwise, then other shapes of the op; of two alike that
    // of this machine, of other machines' that which the constants of `model` say is cheaper, then
    // that which gained more. What is not legal for the kernel is moved to
    // the nearest legal value; a record where that leads nowhere is left out.
    std::vector<Start> find(const PlannedKernel& kernel, const Isa& isa, int threads,
                            const MachineClass& machine, const RecipeLibrary& library, size_t most,
                            const CostModel& model = {}) const;

  private:
    struct Entry {
        TunedRecord record;
        Group group;
    };
    enum class Kinship { kernel, layer, op };  // what is the same
    struct Relative {
        Kinship kinship = Kinship::kernel;
        double distance = 0;
        bool is_foreign = false;  // of another machine or instruction set
        double cost = 0;          // of such ones by a fitted model, where there is one
        const TunedRecord* record = nullptr;
    };
    std::vector<Relative> relatives(const Group& group, const Isa& isa, int threads,
                                    const MachineClass& machine) const;
    // Puts those of other machines that are as near into the order of their costs.
    static void rank(std::vector<Relative>& list, const Group& group, const Isa& isa,
                     const RecipeLibrary& library, const CostModel& model);

    std::vector<Entry> entries_;
};

// The tiling, each field moved to the nearest value that the recipe allows the group, by ratio; a
// field that it lacks has the default's. Where values clash, the one field whose move mends it at
// the least distance moves; nothing where none does.
std::optional<Tiling> nearest_legal(const Recipe& recipe, const Group& group, const Isa& isa,
                                    const Tiling& tiling);

}  // namespace emulsion
