// Runs a group through one recipe in this process and compares it with the double-precision
// reference.
//
// Halide compiles with all its asserts, so a read or a write outside a buffer is an error; the code
// of the shipped form is inspected too: no storage of variable size, no parallel loop inside
// another.
#pragma once

#include <Halide.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "compiler/recipe/recipe.h"
#include "tests/reference/interpreter.h"
#include "tests/support/check_op.h"

namespace emulsion::test {

// Builds the body of a group: operands first, then nodes; returns the results.
using BodyBuilder = std::function<std::vector<Value>(GraphBuilder&)>;

// The group of a body; its anchor is the node of class window, reduction or anchor, if there is
// one.
Group make_group(int batch, const BodyBuilder& body);

// One op on its own: operands a0, a1, …, all results stored.
Group group_of(std::shared_ptr<const Op> op, const std::vector<TensorType>& inputs, int batch);

// An Input or, for a plain scalar, a Scalar source.
Value add_operand(GraphBuilder& builder, const std::string& name, const TensorType& type);

class CompiledRecipe {
  public:
    CompiledRecipe(const Group& group, const Recipe& recipe, const Tiling& tiling, const Isa& isa);
    // Lets result `index` be written to the memory of an operand.
    void place_result(size_t index, const std::string& operand) { placed_[index] = operand; }
    // Values of the group's results from those of its sources.
    std::vector<reference::Tensor> run(const reference::Sources& sources, int64_t samples);

  private:
    int64_t pitch_of(const std::string& operand) const;
    int64_t groups_at(size_t result) const;

    const Group& group_;
    std::vector<Scratch> scratch_;
    std::vector<int> ranks_;  // of the results
    Halide::Pipeline pipeline_;
    Halide::Target target_;
    std::map<std::string, Halide::Parameter> parameters_;
    std::map<size_t, std::string> placed_;  // operands that results replace
};

// The recipe of this name from the library. Fails the test where there is none.
const Recipe& recipe_named(const std::string& name);

// The instruction sets that this machine runs.
std::vector<const Isa*> runnable_isas();

// The interface that recipes for devices are run on: OpenCL (PoCL in the tests), or what
// EMULSION_TEST_DEVICE names in the environment, such as cuda. Throws std::runtime_error where it
// names none.
const Isa& test_device();

// Whether this machine has a driver of the interface that Halide's JIT runs on.
bool has_driver(const Isa& device);

// Random values of a group's sources; `fills` by source name, the rest normal (labels for i32).
reference::Sources random_sources(const Group& group, int64_t samples,
                                  const std::map<std::string, Fill>& fills = {},
                                  int64_t classes = 2, uint64_t seed = 1);

struct RecipeCheck {
    double tolerance = 4e-6;  // of the largest value of a result
    std::map<std::string, Fill> fills = {};
    int64_t classes = 2;
    // Changes the random values of the sources.
    std::function<void(reference::Sources& sources, int64_t samples)> adjust = {};
    bool all_isas = true;  // and the same bits with AVX2 as with AVX-512
    bool all_tilings = true;
    std::vector<Tiling> tilings = {};  // in place of those that the recipe ranks
    bool same_bits = true;             // by every tiling
    const Isa* device = nullptr;       // of recipes for devices; null: test_device()
};

// The recipe applies, and equals the reference for samples 1, 2, batch - 1 and batch. Skips the
// test where EMULSION_TEST_DEVICE names an interface without a driver here.
void check_recipe(const std::string& name, const Group& group, const RecipeCheck& check = {});

}  // namespace emulsion::test
