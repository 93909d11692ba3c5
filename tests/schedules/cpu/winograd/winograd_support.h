// Groups of Winograd convolutions and filter gradients, and their check as they ship, on memory of
// exact size between protected pages: against the double-precision reference over samples, and bit
// by bit over threads, instruction sets and tilings.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "compiler/ops/conv2d.h"
#include "compiler/ops/winograd.h"
#include "tests/schedules/recipe_support.h"

namespace emulsion::test {

struct ConvCase {
    int64_t in, out, height, width;
    int64_t kernel = 3;
    std::vector<int64_t> padding = {1, 1, 1, 1};
    int batch = 3;
    int64_t points = 6;
};

TensorType input_type(const ConvCase& c);
TensorType filter_type(const ConvCase& c);
TensorType transformed_type(const ConvCase& c);
TensorType output_type(const ConvCase& c);

std::shared_ptr<WinogradConv2d> forward_op(const ConvCase& c);
std::shared_ptr<Conv2dBackwardFilter> gradient_op(const ConvCase& c);
Group forward_group(const ConvCase& c);
Group gradient_group(const ConvCase& c);
std::vector<Group> groups_of(const std::vector<ConvCase>& cases, Group (*group)(const ConvCase&));

// Every height from 4 (from 1 with 4 points) to 13; channels, batches and paddings take turns.
std::vector<ConvCase> sweep(int64_t kernel, int64_t points = 6);
// Sizes for groups with a prologue and an epilogue.
std::vector<ConvCase> fused_cases();
// The 3x3 filters among them, over 4 points.
std::vector<ConvCase> over_four_points(const std::vector<ConvCase>& cases);

// Maps of more than 3 MB and few channels, over 6 and 4 points in either direction: products ask
// for the next block's input, beyond the last one too.
std::vector<ConvCase> large_cases();

// tanh(x + bias): not zero at zero, so a border that went through it shows.
Value add_prologue(GraphBuilder& b, Value x);

struct Check {
    std::string recipe;
    bool all_tilings = false;
    bool checked = false;      // with Halide's asserts
    bool without_fma = false;  // on the oldest processors too; other bits
    double tolerance = 2e-5;   // of a result's largest value
};

// Each group by the recipe, with AVX2 and AVX-512, with 1 to 3 threads, with 1 to `batch` samples.
void check_groups(const std::vector<Group>& groups, const Check& check);

// The largest error of the groups' results lies below what the recipe states and plans print, but
// not far below.
void expect_error(const std::string& recipe, const std::vector<Group>& groups);

}  // namespace emulsion::test
