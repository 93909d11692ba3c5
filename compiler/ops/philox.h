// Philox4x32-10, a counter-based generator: Salmon and others, "Parallel random numbers: as easy as
// 1, 2, 3", 2011. What ops make of it is a function of (seed, step, site, element), whatever the
// order and the number of threads; `site` tells the random layers of a network apart.
#pragma once

#include <Halide.h>

#include <array>
#include <span>
#include <vector>

#include "compiler/ops/lowering.h"

namespace emulsion {

// Four uniform 32-bit words from a counter of four words and a key of two.
std::array<Halide::Expr, 4> philox(std::array<Halide::Expr, 4> counter,
                                   std::array<Halide::Expr, 2> key);

// The operands of a random op: x, and seed_low, seed_high, step_low, step_high, i32[] each.
// Error[operands] or Error[element].
void expect_random_operands(std::span<const TensorType> inputs);

// The words of `element`, uint32, from the values of these operands.
std::array<Halide::Expr, 4> random_words(const std::vector<Halide::Expr>& operands,
                                         const Halide::Expr& element, int64_t site);

// The number of the element at memory coordinates `at`, counted through the step's samples in the
// order of memory, modulo 2^32.
Halide::Expr element_number(const TensorType& type, const std::vector<Halide::Expr>& at);

}  // namespace emulsion
