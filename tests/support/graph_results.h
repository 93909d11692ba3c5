// Compares graphs by what they hand out: random values for the sources, the double-precision
// reference for the rest.
#pragma once

#include <map>
#include <string>

#include "tests/reference/interpreter.h"

namespace emulsion::test {

// A value for every source but constants. It depends on name, type and seed alone, so two graphs
// with the same sources get the same values: normal numbers; 0.25 … 0.75 for states, which may be
// variances or powers below 1; class indices below `classes` for i32 inputs.
reference::Sources random_sources(const Graph& graph, int64_t samples, uint64_t seed = 1,
                                  int64_t classes = 2);

// The values of a graph's results by what they are called: "output loss", "gradient conv1.w",
// "update conv1.w".
using GraphResults = std::map<std::string, reference::Tensor>;
GraphResults results_of(const Graph& graph, const reference::Sources& sources, int64_t samples,
                        const reference::Change& change = nullptr);

// Norm of the difference over norm of `expected`, or the norm of the difference where that is 0.
double relative_difference(const reference::Tensor& actual, const reference::Tensor& expected);

// Both graphs have the same results, and on random sources the same values to `tolerance`.
void expect_equal_results(const Graph& before, const Graph& after, int64_t samples,
                          double tolerance = 1e-12);

}  // namespace emulsion::test
