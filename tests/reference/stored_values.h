// Layers and losses whose results another library has computed: inputs follow from the names of
// tensors, expected values stand in a file of tests/reference, which a script beside it writes.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "dsl/emulsion.h"
#include "tests/support/graph_results.h"

namespace emulsion::test {

inline constexpr int64_t kStoredSamples = 2;

// By "y", "loss", "gradient w", "update running_mean": values in logical order, all samples.
using StoredCase = std::map<std::string, std::vector<double>>;

// Cases by name from tests/reference/FILE. Throws std::runtime_error where a line cannot be read.
std::map<std::string, StoredCase> read_stored(const std::string& file);

// One layer, whose result is weighed with numbers: their mean is the loss; or a loss.
struct WrittenCase {
    std::vector<int64_t> x;  // the shape of a sample
    // All weights are named NAME.PART.
    std::function<Tensor(Model& m, const Tensor& x, const std::string& name)> layer;
    std::function<void(Model& m, const Tensor& x, const std::string& name)> loss;
};
using WrittenCases = std::map<std::string, WrittenCase>;

// Adds a case to a model. x is the input NAME.x plus a parameter NAME.dx, whose gradient is that of
// the input, summed over the samples. The result of a layer is the output NAME.y.
void write_case(Model& m, const std::string& name, const WrittenCase& written);

// Values for the sources of a network with cases, by the rules that the script has.
reference::Sources stored_sources(const Graph& graph);

// Evaluates each case by itself, without the compiler's kernels, and compares it with what is
// stored.
void expect_stored_plainly(const WrittenCases& written,
                           const std::map<std::string, StoredCase>& stored);

// Each stored tensor of a case against the result of that name, to `tolerance` times its largest
// value; and every gradient of the case is among them. Where the results have no outputs, as those
// of a step, "y" is left out.
void expect_stored(const std::string& name, const StoredCase& stored, const GraphResults& results,
                   double tolerance);

}  // namespace emulsion::test
