// The constants of a cost model from what journals have measured.
#pragma once

#include <string>
#include <vector>

#include "schedules/tune/cost_model.h"
#include "schedules/tune/model_check.h"

namespace emulsion {

// What became of a recipe's constants.
struct FittedRow {
    FittedCosts costs;    // kernels, candidates and `before` in any case
    int contended = 0;    // timed candidates that were left out
    std::string refusal;  // why it gets no line; else empty
};

// Fits the constants of each recipe so that the sum of squares of the logarithms of estimated over
// measured time is least and no constant is negative. Candidates that were timed beside other work
// are left out, and kernels with fewer than three. A recipe gets a line where enough is left and
// the estimates for layers that the constants were not fitted to (a layer is all kernels of one
// group) rank better than its own, and those of the tilings that it lists no worse.
//
// Constants are relative: the median over all candidates of measured time over the recipe's own
// estimate is divided out, so that fitted and other recipes compare as before.
std::vector<FittedRow> fit_model(const std::vector<MeasuredCost>& measured);

// The least x >= 0 of |rows · x - values|^2, where no column is zero.
std::vector<double> nonnegative_least_squares(const std::vector<std::vector<double>>& rows,
                                              const std::vector<double>& values);

}  // namespace emulsion
