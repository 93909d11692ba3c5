// The transforms of Winograd convolution over 4 or 6 points (compiler/ops/winograd.h), with shared
// subexpressions, rounded as written on every target.
#pragma once

#include <Halide.h>

#include <vector>

#include "compiler/ops/strict.h"

namespace emulsion {

// B^T d: a value for each point, from as many.
std::vector<Halide::Expr> input_transform(const std::vector<Halide::Expr>& d);

// A^T d: `tile` (2 or 4) values from one for each point.
std::vector<Halide::Expr> output_transform(const std::vector<Halide::Expr>& d, int tile);

// A d: a value for each point from 2 or 4, the adjoint of output_transform.
std::vector<Halide::Expr> gradient_transform(const std::vector<Halide::Expr>& d, int points);

// The sum over j of factors[j] * values[j], left to right, without zero factors.
Halide::Expr combine(const std::vector<double>& factors, const std::vector<Halide::Expr>& values);

// {read(0), …, read(count - 1)}
template <class Read>
std::vector<Halide::Expr> gather(int count, const Read& read) {
    std::vector<Halide::Expr> values;
    for (int q = 0; q < count; q++) values.push_back(read(q));
    return values;
}

}  // namespace emulsion
