// Where the plan looks up how to run a group before it asks the cost model: what was found by
// measuring, wherever it is kept.
#pragma once

#include <optional>
#include <string>

#include "compiler/recipe/recipe.h"

namespace emulsion {

// How a group is run best on one instruction set.
struct Record {
    std::string recipe;
    int version = 1;  // Recipe::version
    Tiling tiling;
    std::string origin;  // where it stands, for a reader: "zen5.txt:12"
};

// The plan takes a record where its recipe has that version and can run the group, and its tiling
// is legal; else it notes why not and takes its own choice.
//
// The variants of a library agree bit for bit, so a recipe and the fields of its tiling that the
// order of sums follows from (TilingField::order) hold for all of a TargetFamily. Its first
// member that has a record decides them, whether a variant is built for it or not; a record is
// taken only where all of the family can follow. The record of another instruction set then says
// the other fields alone: it is left out, with a note, where it differs in what was decided.
//
// A record says how a group runs and not which groups there are: that stays with the cost model, so
// the groups of a plan are those that were measured.
class RecordSource {
  public:
    virtual ~RecordSource() = default;
    // The record of exactly this group, none where there is none. Depends on the arguments alone.
    virtual std::optional<Record> find(const Group& group, const Isa& isa, int threads) const = 0;
};

}  // namespace emulsion
