// Checks of operands that the ops' shape rules share. Each throws Error with both values and a fix;
// the graph builder puts kind and name of the node in front of the message and lists the operands
// below it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/graph/type.h"

namespace emulsion {

// The number of operands. Error[operands].
void expect_operands(std::span<const TensorType> inputs, size_t count);

// f32. Error[element].
void expect_f32(const TensorType& type, std::string_view what);

// An attribute that 32-bit floats hold: neither NaN nor infinite. Error[attribute].
void expect_number(double value, std::string_view name);

// The number under a root or in a divisor: 0 or more. Error[attribute].
void expect_epsilon(double value);

// A batched f32 map [n,C,H,W]. Error[rank] or Error[element].
void expect_map(const TensorType& type, std::string_view what);

// Batched f32 features [n,F]. Error[rank] or Error[element].
void expect_features(const TensorType& type, std::string_view what);

// Scores [n,K], or of each position [n,K,L], [n,K,H,W] or [n,K,D,H,W], of two classes or more: over
// one, softmax is 1 and has no gradient. Error[scores], Error[rank] or Error[element].
void expect_scores(const TensorType& type, std::string_view what);

// A share of 0 to 1, less than that. Error[attribute].
void expect_smoothing(double value);

// A weight for each class: 0 or more, not all 0, and at most 4096. Error[attribute].
void expect_class_weights(const std::vector<double>& weights, int64_t classes);

// One label at most. Error[attribute].
void expect_ignored(const std::vector<int64_t>& labels);

// A batched f32 tensor with a channel axis that can be cut: [n,C,…], not the features of a
// flattened map. Error[rank], Error[element] or Error[factors].
void expect_channels(const TensorType& type, std::string_view what);

// Parameters of f32 with `rank` axes, described by `axes`: "(out, in, kh, kw)". Error[rank] or
// Error[element].
void expect_parameter(const TensorType& type, size_t rank, std::string_view what,
                      std::string_view axes);

// Two features axes have one order in memory. Error[factors].
void expect_same_order(const std::vector<int64_t>& a, std::string_view name_a,
                       const std::vector<int64_t>& b, std::string_view name_b);

// A gradient has the type of what it is the gradient of. Error[shape].
void expect_gradient_of(const TensorType& gradient, const TensorType& expected);

// "5x5"
std::string by(int64_t height, int64_t width);

}  // namespace emulsion
