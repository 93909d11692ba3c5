// Funcs and expressions that recipes of all families build.
#pragma once

#include <Halide.h>

#include <string>
#include <vector>

namespace emulsion {

// The sum of terms as a fixed balanced tree, rounded as written on every target.
Halide::Expr tree_sum(std::vector<Halide::Expr> terms);

// Value k of a Func, which may have only one: Halide knows no Tuple of one value.
Halide::Expr component(const Halide::Func& func, const std::vector<Halide::Expr>& at, size_t k);

// A Func with the values of `func`, all of them: what is computed inside it is there before any of
// it is stored.
Halide::Func stored_copy(const Halide::Func& func, const std::string& name);

// The Funcs that `outputs` are made of and that have no schedule of their own, sorted by name.
std::vector<Halide::Func> helpers_of(const std::vector<Halide::Func>& outputs);

}  // namespace emulsion
