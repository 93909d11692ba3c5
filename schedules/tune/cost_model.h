// The cost model with constants that were fitted to measurements on one class of machines.
//
// What a recipe estimates is a sum of terms: arithmetic at the machine's peak, bytes at its
// bandwidth, and what follows from neither. To them come, for each field of its tilings, the
// arithmetic (of a recipe without any: the whole) divided by one more than the field's value (what
// each turn of a loop costs, less where blocks are larger) and times the value (what larger blocks
// cost, as they outgrow registers and caches). The fitted cost is the sum of all terms, each times
// a constant; the recipe's own estimate has 1 for the first three and 0 for the others.
//
// It ranks what the tuner tries first and says which kernels seem heavy until they are timed. No
// build asks it: what a build takes without a record is the same on every machine, and what it
// takes from records was measured.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/recipe/recipe.h"
#include "compiler/support/diagnostic.h"

namespace emulsion {

struct CostTerm {
    std::string name;  // "arithmetic", "bytes", "fixed", "per.kw", "by.kw"
    double seconds = 0;
};
std::vector<CostTerm> cost_terms(const Recipe& recipe, const Group& group, const Tiling& tiling,
                                 const Isa& isa, const Machine& machine);

// A recipe's constants, as a line of text:
//
//     recipe=matmul@1 kernels=4 candidates=96 before=0.31 after=0.72 constants="arithmetic=0.9
//     bytes=1.2 per.kw=3.1"
//
// (one line; a term that is not named has the constant 0; `before` and `after`: the rank
// correlation of the recipe's own estimate and of the fitted one with the times, the latter of
// layers that the constants were not fitted to).
struct FittedCosts {
    std::string recipe;
    int version = 1;  // Recipe::version
    int kernels = 0, candidates = 0;
    double before = 0, after = 0;
    std::map<std::string, double> constants;
    SourceLocation where;  // it was read; no part of the line

    // The sum of the terms, each times its constant.
    double cost(const std::vector<CostTerm>& terms) const;
};
std::string to_string(const FittedCosts& costs);
// Throws Error[model] naming what is wrong with the line.
FittedCosts parse_fitted_costs(std::string_view line);

// The lines of one class of machines. A file begins with the line "emulsion model 1"; '#' begins a
// comment, empty lines count for nothing.
class CostModel {
  public:
    // The file's lines that can be used; what cannot (a broken line, a recipe that the library does
    // not have, or of another version) is described in `faults`. Throws Error[model] where the file
    // cannot be read or is of another version. `name` stands for the file in what is said of it.
    static CostModel read(const std::string& file, const RecipeLibrary& library,
                          std::vector<Diagnostic>& faults, const std::string& name = "");

    void put(FittedCosts costs) { lines_.insert_or_assign(costs.recipe, std::move(costs)); }
    const FittedCosts* find(std::string_view recipe) const;
    size_t size() const { return lines_.size(); }

    // Drops the recipe's line where it has a constant of no term of this group; says so.
    std::optional<Diagnostic> drop_misfit(const Recipe& recipe, const Group& group, const Isa& isa);
    // Estimated seconds: fitted where the recipe has a line, else the recipe's own.
    double cost(const Recipe& recipe, const Group& group, const Tiling& tiling, const Isa& isa,
                const Machine& machine) const;

    // The whole text, sorted by recipe.
    std::string text() const;
    // Puts the text in the file's place at once. Throws RuntimeError.
    void save(const std::string& file) const;

  private:
    std::map<std::string, FittedCosts, std::less<>> lines_;
};

}  // namespace emulsion
