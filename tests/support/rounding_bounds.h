// How far single precision may take the results of a graph from the reference: what they move by
// where the reference itself is made as inexact, at every node, by random noise. So a sum that
// cancels, a small variance, or a value near a kink of ReLU needs no bound of its own.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "tests/support/graph_results.h"

namespace emulsion::test {

class RoundingBounds {
  public:
    // `relative_error` of the roughest op, over the root mean square of its result.
    RoundingBounds(const Graph& graph, const reference::Sources& sources, int64_t samples,
                   double relative_error, reference::Change change = nullptr);

    const GraphResults& expected() const { return expected_; }
    // "" where `actual`, by the name of the result, is within what noise explains; else what
    // differs. Draws more noise before it says so.
    std::string difference(const std::string& name, const reference::Tensor& actual);

  private:
    void draw();

    const Graph& graph_;
    const reference::Sources& sources_;
    int64_t samples_;
    double relative_error_;
    reference::Change change_;
    GraphResults expected_;
    std::map<std::string, double> moved_;  // the norm of the largest move of each result
    // Of gradients, which may be sums of nothing but noise: that of a score is a probability
    // less 1.
    double floor_ = 0.1;
    uint64_t draws_ = 0;
};

}  // namespace emulsion::test
